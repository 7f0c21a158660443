import { createHash } from 'node:crypto';
import type { Db } from '../../db/connect.ts';
import { findAgent } from '../../db/queries/agents.ts';
import { findRunByKey, insertRun } from '../../db/queries/runs.ts';
import type { HeartbeatInput } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { newId } from '../ids.ts';

export type HeartbeatRequest = {
  agentName: string;
  input: HeartbeatInput;
  idempotencyKey: string | undefined;
};

export type Accepted = {
  runId: string;
  /** False when the same request was accepted before: its run is the answer. */
  created: boolean;
};

/**
 * Records the heartbeat as a queued run. From here on it has exactly one run, which will end,
 * whatever dies.
 *
 * @throws AppError `not_found` (no such agent), `conflict` (paused), `idempotency_mismatch`
 */
export async function acceptHeartbeat(db: Db, request: HeartbeatRequest): Promise<Accepted> {
  const runId = newId();
  const requestHash = request.idempotencyKey === undefined ? null : hashInput(request.input);
  const created = await insertRun(db, {
    id: runId,
    agentName: request.agentName,
    kind: 'heartbeat',
    sessionId: request.input.sessionId ?? null,
    input: request.input,
    idempotencyKey: request.idempotencyKey ?? null,
    requestHash,
  });
  if (created) return { runId, created };
  if (request.idempotencyKey !== undefined && requestHash) {
    const earlier = await findRunByKey(db, request.agentName, request.idempotencyKey);
    if (earlier?.request_hash?.equals(requestHash)) return { runId: earlier.id, created: false };
    if (earlier) throw mismatch();
  }
  throw await explainRefusal(db, request.agentName);
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
