import type { Db } from '../../db/connect.ts';
import { releaseClaims } from '../../db/queries/claims.ts';
import { type Decision, isEmpty } from './decide.ts';

/** Ends the claims that are to end. Returns the ids of those that did. */
export async function releaseDecided(db: Db, decisions: Decision[]): Promise<Set<string>> {
  const releases = decisions.flatMap(({ row, release, plan }) => {
    if (!release) return [];
    const settled = !plan || isEmpty(plan);
    const unlessLive = release === 'no_live_session';
    return [{ claimId: row.claimId, reason: release, settled, unlessLive }];
  });
  return new Set(await releaseClaims(db, releases));
}
