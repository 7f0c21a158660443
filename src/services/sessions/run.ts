import type { NewSessionRun } from '../../db/queries/session-runs.ts';
import { newId } from '../ids.ts';

/** A run that the service makes for a session of its own accord, not asked for by a caller. */
export function sessionRun(kind: NewSessionRun['kind'], sessionId: string): NewSessionRun {
  return { id: newId(), sessionId, kind, input: {}, idempotencyKey: null, requestHash: null };
}
