import { createHash } from 'node:crypto';
import { createBatcher } from '../../batch.ts';
import type { Db } from '../../db/connect.ts';
import { findAgent } from '../../db/queries/agents.ts';
import { type AcceptedRun, findRunByKey, insertRuns, runExists } from '../../db/queries/runs.ts';
import { beatSession, findSession, SIGN_OF_LIFE } from '../../db/queries/sessions.ts';
import type { HeartbeatInput } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { isPlain, redactSaid } from '../checkpoints/redact.ts';
import { newId } from '../ids.ts';
import { tooManyWait } from '../runs/pressure.ts';
import { refusal } from '../sessions/refusal.ts';

export type HeartbeatRequest = {
  agentName: string;
  input: HeartbeatInput;
  idempotencyKey: string | undefined;
};

export type Accepted = {
  runId: string;
  /** False when the same request was accepted before: its run is the answer. */
  created: boolean;
  /** How many heartbeats of the same agent wait before it. */
  ahead: number;
};

export type AcceptHeartbeat = (request: HeartbeatRequest) => Promise<Accepted>;

/**
 * Makes the function that records a heartbeat as a queued run. From then on it has exactly one run,
 * which will end, whatever dies. Requests that come together are recorded in one statement.
 *
 * The function throws AppError `not_found` (no such agent), `conflict` (paused), `idempotency_mismatch` or
 * `rate_limited` (`maxPerAgent` heartbeats of the agent wait).
 */
export function createAcceptHeartbeat(db: Db, maxPerAgent = 1000): AcceptHeartbeat {
  const insert = createBatcher({
    max: MAX_BATCH,
    send: (runs: AcceptedRun[]) => insertRuns(db, runs, maxPerAgent),
  });
  return async (request) => {
    if (request.input.sessionId !== undefined) {
      const { sessionId, note = '' } = request.input;
      await assertLiveSession(db, request.agentName, sessionId);
      // The pass renews the lease; but the search for secrets before it may have to wait for its turn.
      if (!isPlain(note)) await beatSession(db, sessionId, SIGN_OF_LIFE);
    }
    const run = await toRun(request);
    const { written, ahead } = await insert(run);
    if (written) return { runId: run.id, created: true, ahead };
    const earlier = await findEarlier(db, run);
    if (earlier) return earlier;
    if (ahead >= maxPerAgent) throw tooManyWait(run.agentName, 'heartbeats', maxPerAgent);
    throw await explainRefusal(db, run.agentName);
  };
}

/** Only a live session of this agent can be renewed. */
async function assertLiveSession(db: Db, agentName: string, sessionId: string): Promise<void> {
  const session = await findSession(db, sessionId);
  if (session?.agent_name === agentName && session.ended_at === null) return;
  if (session?.agent_name === agentName) throw await refusal(db, sessionId);
  throw new AppError('not_found', `The agent "${agentName}" has no session ${sessionId}.`);
}

const MAX_BATCH = 64;

async function toRun({ agentName, input, idempotencyKey }: HeartbeatRequest): Promise<AcceptedRun> {
  const note = await redactSaid(input.note, { agent: agentName });
  return {
    id: newId(),
    agentName,
    kind: 'heartbeat',
    sessionId: input.sessionId ?? null,
    input: { ...input, ...(note !== undefined && { note }) },
    idempotencyKey: idempotencyKey ?? null,
    requestHash: idempotencyKey === undefined ? null : hashInput(input),
  };
}

/** The run that the request was recorded as before. */
async function findEarlier(db: Db, run: AcceptedRun): Promise<Accepted | undefined> {
  // The answer to the first try was lost on the way, and it was made again.
  if (await runExists(db, run.id)) return { runId: run.id, created: true, ahead: 0 };
  if (run.idempotencyKey !== null && run.requestHash) {
    const earlier = await findRunByKey(db, run.agentName, run.idempotencyKey);
    if (earlier?.request_hash?.equals(run.requestHash)) {
      return { runId: earlier.id, created: false, ahead: 0 };
    }
    if (earlier) throw mismatch();
  }
  return undefined;
}

// Keys in a fixed order: the same fields in another order are the same request.
function hashInput({ sessionId, turn, note }: HeartbeatInput): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([sessionId, turn, note]))
    .digest();
}

function mismatch(): AppError {
  return new AppError(
    'idempotency_mismatch',
    'This Idempotency-Key was used before with another body. Send the same body again, or use a new key.',
  );
}

async function explainRefusal(db: Db, agentName: string): Promise<AppError> {
  const agent = await findAgent(db, agentName);
  if (!agent) {
    return new AppError(
      'not_found',
      `There is no agent "${agentName}". An operator creates it with PUT /api/agents/${agentName}, or by issuing a token for it.`,
    );
  }
  return new AppError(
    'conflict',
    `The agent "${agentName}" is paused, so nothing was done. An operator resumes it with PUT /api/agents/${agentName} {"paused": false}.`,
  );
}
