import type { Db } from '../../db/connect.ts';
import { takePending } from '../../db/queries/session-watch.ts';
import { issueSessionToken } from '../tokens/session-token.ts';
import { continuationOf } from './continuation.ts';
import type { StartedSession } from './start.ts';

export type ClaimedSession = StartedSession & { continuation: string };

/**
 * Gives the agent its next pending resume, with a fresh token and the prompt to go on from.
 * Undefined: nothing is pending. Of any number that ask at once, one gets it.
 */
export async function claimPending(
  db: Db,
  request: { agentName: string; host?: string | undefined; worktree?: string | undefined },
): Promise<ClaimedSession | undefined> {
  return await db.transaction().execute(async (trx) => {
    const session = await takePending(trx, {
      agentName: request.agentName,
      host: request.host ?? null,
      worktree: request.worktree ?? null,
    });
    if (!session) return undefined;
    const token = await issueSessionToken(trx, session);
    return { session, token, continuation: await continuationOf(trx, session) };
  });
}
