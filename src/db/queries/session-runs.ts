import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { RunInput, RunKind } from '../schema.ts';
import type { Dispatch } from './run-claims.ts';
import { route } from './worker-hosts.ts';

export type NewSessionRun = {
  id: string;
  sessionId: string;
  kind: Exclude<RunKind, 'heartbeat'>;
  input: RunInput;
  idempotencyKey: string | null;
  requestHash: Buffer | null;
};

/**
 * Records runs that work on sessions: each goes to the host of its session's worktree. Also where the
 * agent is paused: what it did is saved all the same. A run whose idempotency key is known is left
 * out of the result.
 */
export async function insertSessionRuns(db: Db, runs: NewSessionRun[]): Promise<Dispatch[]> {
  if (runs.length === 0) return [];
  const { rows } = await sql<Dispatch>`
    INSERT INTO runs
      (id, agent_id, agent_name, kind, session_id, input, host, idempotency_key, request_hash)
    SELECT run.id, sessions.agent_id, sessions.agent_name, run.kind, sessions.id,
      run.input::jsonb,
      CASE WHEN run.input::jsonb ? 'upload' THEN NULL
        -- A successor has no worktree yet: its work begins where the last attempt's worktree is.
        WHEN run.kind = 'resume' THEN coalesce(before.host, sessions.host)
        ELSE sessions.host END,
      run.idempotency_key, run.request_hash
    FROM unnest(
      ${runs.map((run) => run.id)}::uuid[],
      ${runs.map((run) => run.sessionId)}::uuid[],
      ${runs.map((run) => run.kind)}::text[],
      ${runs.map((run) => JSON.stringify(run.input))}::text[],
      ${runs.map((run) => run.idempotencyKey)}::text[],
      ${runs.map((run) => run.requestHash)}::bytea[]
    ) AS run (id, session_id, kind, input, idempotency_key, request_hash)
    JOIN sessions ON sessions.id = run.session_id
    LEFT JOIN sessions AS before ON before.id = sessions.resumed_from
    ON CONFLICT DO NOTHING
    RETURNING id, kind, agent_name AS "agentName", dispatch, ${route} AS host`.execute(db);
  return rows;
}
