import { createHash } from 'node:crypto';
import type { Db } from '../../db/connect.ts';
import type { Dispatch } from '../../db/queries/run-claims.ts';
import { findRunByKey } from '../../db/queries/runs.ts';
import { insertSessionRuns } from '../../db/queries/session-runs.ts';
import { beatSession, SIGN_OF_LIFE } from '../../db/queries/sessions.ts';
import type { CheckpointInput, Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { newId } from '../ids.ts';
import { redactOrWithhold, redactValuesOrWithhold } from './redact.ts';

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
 * Records a checkpoint that is to be made, as a queued run. What is said with it is redacted before it
 * is stored anywhere, and withheld where it cannot be searched. Also for a session that has ended: saved work is
 * never thrown away. The lease of one that lives is renewed first: redaction may have to wait for its turn.
 *
 * @throws AppError `idempotency_mismatch`
 */
export async function acceptCheckpoint(
  db: Db,
  request: CheckpointRequest,
): Promise<AcceptedCheckpoint> {
  const { session, idempotencyKey: key } = request;
  const requestHash = createHash('sha256').update(request.fingerprint).digest();
  const id = newId();
  await beatSession(db, session.id, SIGN_OF_LIFE);
  const [dispatch] = await insertSessionRuns(db, [
    {
      id,
      sessionId: session.id,
      kind: 'checkpoint',
      input: await redacted(request.input, session.agent_name),
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

async function redacted(input: CheckpointInput, agent: string): Promise<CheckpointInput> {
  const { reasoning, trigger, upload } = input;
  const { notCaptured, warnings } = upload ?? {};
  const said = await redactValuesOrWithhold({ trigger, notCaptured, warnings }, { agent });
  return {
    ...input,
    trigger: said.trigger,
    ...(reasoning && { reasoning: await redactOrWithhold(reasoning, { agent }) }),
    ...(upload && {
      upload: {
        ...upload,
        ...(said.notCaptured && { notCaptured: said.notCaptured }),
        ...(said.warnings && { warnings: said.warnings }),
      },
    }),
  };
}
