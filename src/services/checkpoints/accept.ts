import { createHash } from 'node:crypto';
import type { Db } from '../../db/connect.ts';
import type { Dispatch } from '../../db/queries/run-claims.ts';
import { findRunByKey } from '../../db/queries/runs.ts';
import { insertSessionRuns } from '../../db/queries/session-runs.ts';
import type { CheckpointInput, Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { newId } from '../ids.ts';
import { redactReasoning } from './redact.ts';

export type CheckpointRequest = {
  session: Session;
  input: CheckpointInput;
  idempotencyKey: string | undefined;
  /** What was sent, for telling a repeated request from another one under the same key. */
  fingerprint: string;
};

export type AcceptedCheckpoint = {
  runId: string;
  /** To be handed to the queue; undefined when the same request was accepted before. */
  dispatch: Dispatch | undefined;
};

/**
 * Records a checkpoint that is to be made, as a queued run. Its reasoning is redacted before it is
 * stored anywhere. Also for a session that has ended: saved work is never thrown away.
 *
 * @throws AppError `idempotency_mismatch`, or `unavailable` when the reasoning cannot be searched
 */
export async function acceptCheckpoint(
  db: Db,
  request: CheckpointRequest,
): Promise<AcceptedCheckpoint> {
  const { session, idempotencyKey: key } = request;
  const requestHash = createHash('sha256').update(request.fingerprint).digest();
  const id = newId();
  const [dispatch] = await insertSessionRuns(db, [
    {
      id,
      sessionId: session.id,
      kind: 'checkpoint',
      input: await redacted(request.input),
      idempotencyKey: key ?? null,
      requestHash: key === undefined ? null : requestHash,
    },
  ]);
  if (dispatch) return { runId: id, dispatch };
  const earlier = key === undefined ? undefined : await findRunByKey(db, session.agent_name, key);
  if (!earlier) throw new AppError('not_found', `There is no session ${session.id}.`);
  if (earlier.session_id === session.id && earlier.request_hash?.equals(requestHash)) {
    return { runId: earlier.id, dispatch: undefined };
  }
  throw new AppError(
    'idempotency_mismatch',
    'This Idempotency-Key was used before for something else. Send the same request again, or use a new key.',
  );
}

async function redacted(input: CheckpointInput): Promise<CheckpointInput> {
  if (!input.reasoning) return input;
  const { reasoning } = await redactReasoning(input.reasoning);
  return { ...input, reasoning };
}
