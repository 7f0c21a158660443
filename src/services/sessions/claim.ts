import type { Db } from '../../db/connect.ts';
import { takePending } from '../../db/queries/session-watch.ts';
import { issueSessionToken } from '../tokens/session-token.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { continuationInput, finishedPrompt, withoutSecrets } from './continuation.ts';
import type { ContinuationInput } from './continuation-prompt.ts';
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
  const claimed = await db.transaction().execute(async (trx) => {
    const session = await takePending(trx, {
      agentName: request.agentName,
      host: request.host ?? null,
      worktree: request.worktree ?? null,
    });
    if (!session) return undefined;
    const token = await issueSessionToken(trx, session);
    return { session, token, input: await continuationInput(trx, session) };
  });
  if (!claimed) return undefined;
  // Not while rows are locked: the search may have to wait.
  const { input, ...given } = claimed;
  return { ...given, continuation: await promptOr(LATER, input, given.session) };
}

const LATER =
  'The prompt to go on from could not be searched for secrets in time. Get it with `GET /api/sessions/{id}/continuation` before you begin.\n';

/** The claim is made, and its token is shown this once: it is never lost for the sake of the prompt. */
async function promptOr(
  otherwise: string,
  input: ContinuationInput,
  session: Session,
): Promise<string> {
  try {
    return await finishedPrompt(await withoutSecrets(input, session), session);
  } catch (error) {
    if (error instanceof AppError && error.code === 'unavailable') return otherwise;
    throw error;
  }
}
