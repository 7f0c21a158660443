import { timingSafeEqual } from 'node:crypto';
import type { Db } from '../../db/connect.ts';
import { findValidToken } from '../../db/queries/tokens.ts';
import type { TokenScope } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { hashToken, isTokenSecret } from './secret.ts';
import type { TokenUses } from './uses.ts';

/** Who a request comes from. */
export type Principal = {
  /** The token's id, or `environment` for `DEFIB_OPERATOR_TOKEN`. */
  tokenId: string;
  scope: TokenScope;
  agentName: string | null;
  sessionId: string | null;
};

/** Stands for the id of `DEFIB_OPERATOR_TOKEN`, which has none. */
export const ENVIRONMENT = 'environment';

export type Authenticate = (token: string) => Promise<Principal>;

export type AuthenticateOptions = {
  db: Db;
  uses: TokenUses;
  operatorToken: string | undefined;
  /** For how long a valid token is believed without asking again: the bound on revocation. */
  cacheMs: number;
  now: () => number;
};

const MAX_CACHED = 10_000;

/**
 * Makes the function that turns a token into its principal, or throws `unauthorized`. Valid tokens
 * are remembered for `cacheMs`, so a revocation takes effect within that time everywhere.
 */
export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const { db, uses, cacheMs, now } = options;
  const operatorHash = options.operatorToken ? hashToken(options.operatorToken) : undefined;
  const cache = new Map<string, { until: number; principal: Promise<Principal> }>();

  return async (token) => {
    const hash = hashToken(token);
    if (operatorHash && timingSafeEqual(hash, operatorHash)) {
      return { tokenId: ENVIRONMENT, scope: 'operator', agentName: null, sessionId: null };
    }
    // What was never issued costs no look into the database.
    if (!isTokenSecret(token)) throw unknownToken();
    const key = hash.toString('base64');
    const cached = cache.get(key);
    const time = now();
    if (cached && cached.until > time) {
      const principal = await cached.principal;
      uses.note(principal.tokenId);
      return principal;
    }
    if (cache.size >= MAX_CACHED) cache.clear();
    const principal = lookUp(db, hash);
    cache.set(key, { until: time + cacheMs, principal });
    try {
      const found = await principal;
      uses.note(found.tokenId);
      return found;
    } catch (error) {
      cache.delete(key);
      throw error;
    }
  };
}

async function lookUp(db: Db, hash: Buffer): Promise<Principal> {
  const row = await findValidToken(db, hash);
  if (!row) throw unknownToken();
  return {
    tokenId: row.id,
    scope: row.scope,
    agentName: row.agent_name,
    sessionId: row.session_id,
  };
}

const unknownToken = (): AppError =>
  new AppError(
    'unauthorized',
    'This token is unknown, expired or revoked. Ask an operator for a new one: POST /api/tokens.',
  );
