import type { Db } from '../../db/connect.ts';
import { touchTokens } from '../../db/queries/tokens.ts';

export type TokenUses = {
  note(tokenId: string): void;
  /** Writes what was noted since the last flush. Call it from time to time, and before closing. */
  flush(): Promise<void>;
};

/**
 * Collects when tokens were used, so that the busiest path pays nothing for `lastUsedAt`. What a
 * killed process had not flushed is lost: the field is a help for operators, not a record.
 */
export function createTokenUses(db: Db): TokenUses {
  let pending = new Map<string, Date>();
  return {
    note: (tokenId) => void pending.set(tokenId, new Date()),
    flush: async () => {
      const uses = pending;
      pending = new Map();
      await touchTokens(db, uses);
    },
  };
}
