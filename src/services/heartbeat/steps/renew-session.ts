import { beatSession } from '../../../db/queries/sessions.ts';
import { AppError } from '../../../errors.ts';
import { directivesOf } from '../../sessions/beat.ts';
import type { Step } from '../step.ts';

/** Renews the lease of the session that the heartbeat names. */
export const renewSession: Step = {
  name: 'renew session',
  level: 'best-effort',
  timeoutMs: 5000,
  run: async ({ deps, run }) => {
    if (run.session_id === null) return { skipped: true };
    const { turn = null, note = null } = run.input;
    const session = await beatSession(deps.db, run.session_id, { turn, note, place: null });
    if (!session) {
      throw new AppError(
        'session_ended',
        `the session ${run.session_id} ended before its lease could be renewed. GET /api/sessions/${run.session_id} says why.`,
      );
    }
    return { directives: directivesOf(session) };
  },
};
