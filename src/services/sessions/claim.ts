import type { Db } from '../../db/connect.ts';
import { takePending } from '../../db/queries/session-watch.ts';
import { issueSessionToken } from '../tokens/session-token.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { continuationInput, finishedPrompt, withoutSecrets } from './continuation.ts';
import { waitForGiven } from './claim-given.ts';
import type { ContinuationInput } from './continuation-prompt.ts';
import type { SessionSettings } from './settings.ts';
import type { StartedSession } from './start.ts';

export type ClaimedSession = StartedSession & { continuation: string };

export type ClaimRequest = {
  agentName: string;
  host?: string | undefined;
  worktree?: string | undefined;
  sessionId?: string | undefined;
  resumedFrom?: string | undefined;
};

/** A session, or after how many seconds to ask again; undefined: nothing waits, nor is it known whether it will. */
export type Claim = { claimed: ClaimedSession } | { retryAfterSeconds: number | undefined };

/**
 * Gives the agent its next pending resume, or the one that it asks for, with a fresh token and the prompt to go on
 * from. Of any number that ask at once, one gets it.
 *
 * @throws AppError as of {@link waitForGiven}: the one that was asked for cannot be had any more
 */
export async function claim(
  db: Db,
  settings: SessionSettings,
  request: ClaimRequest,
): Promise<Claim> {
  const { agentName, sessionId, resumedFrom } = request;
  const claimed = await claimPending(db, request);
  if (claimed) return { claimed };
  if (sessionId !== undefined) {
    return { retryAfterSeconds: await waitForGiven(db, settings, { agentName, sessionId }) };
  }
  if (resumedFrom !== undefined) {
    return { retryAfterSeconds: await waitForGiven(db, settings, { agentName, resumedFrom }) };
  }
  return { retryAfterSeconds: undefined };
}

async function claimPending(db: Db, request: ClaimRequest): Promise<ClaimedSession | undefined> {
  const claimed = await db.transaction().execute(async (trx) => {
    const session = await takePending(trx, {
      agentName: request.agentName,
      host: request.host ?? null,
      worktree: request.worktree ?? null,
      sessionId: request.sessionId ?? null,
      resumedFrom: request.resumedFrom ?? null,
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
