import { sql } from 'kysely';
import type { ErrorCode } from '../../errors.ts';
import type { Db } from '../connect.ts';
import { route } from './worker-hosts.ts';
import type { Directive, Run, RunKind, RunOutcome, RunStep } from '../schema.ts';

/**
 * Who may work on a run, and who may write its result. A claim raises the run's epoch and holds
 * for a lease on the database's clock; a result counts only with the newest epoch. So a worker
 * that was paused, cut off or declared dead can do no harm when it comes back.
 */

export type ClaimOptions = {
  ids: string[];
  holder: string;
  leaseSeconds: number;
  /** A run is not taken over from the worker whose death is this number: it is to be given up. */
  maxDeaths: number;
};

/**
 * Claims those of the runs that are queued, or whose worker's lease has passed. What is not
 * returned, someone else has, or nobody shall have.
 */
export async function claimRuns(db: Db, options: ClaimOptions): Promise<Run[]> {
  return await db
    .updateTable('runs')
    .set({
      status: 'running',
      epoch: sql<number>`epoch + 1`,
      // Whoever takes over from a worker that let its lease pass has found it dead.
      deaths: sql<number>`deaths + (status = 'running')::int`,
      claimed_by: options.holder,
      claim_expires_at: sql<Date>`now() + make_interval(secs => ${options.leaseSeconds})`,
      started_at: sql<Date>`now()`,
    })
    .where('id', '=', sql<string>`any(${options.ids}::uuid[])`)
    .where((eb) =>
      eb.or([
        eb('status', '=', 'queued'),
        eb.and([
          eb('status', '=', 'running'),
          eb('claim_expires_at', '<', sql<Date>`now()`),
          eb('deaths', '<', options.maxDeaths - 1),
        ]),
      ]),
    )
    .returningAll()
    .execute();
}

export type RunResult = {
  status: RunOutcome;
  summary: string;
  warnings: string[];
  errors: string[];
  touchedIssueUrls: string[];
  directives: Directive[];
  nextHeartbeatSeconds: number | null;
  steps: RunStep[];
  /** The stable code of the failure that ended the run. */
  errorCode?: ErrorCode | null;
};

export type FinishedRun = RunResult & { id: string; epoch: number };

/**
 * Writes results and steps in one statement, each if its claim is still the newest. Returns the
 * finished rows in the order of the results; undefined means that the work was done in vain and
 * another result stands.
 */
export async function finishRuns(db: Db, finished: FinishedRun[]): Promise<(Run | undefined)[]> {
  // The ids are given twice: joined to the results alone, all runs could be read to find them.
  const { rows } = await sql<Run>`
    WITH result AS (
      SELECT * FROM jsonb_to_recordset(${JSON.stringify(finished.map(toRecord))}::jsonb) AS result (
        id uuid, epoch int, status text, summary text, warnings jsonb, errors jsonb,
        touched_issue_urls jsonb, directives jsonb, next_heartbeat_seconds int, steps jsonb,
        error_code text)
    ), finished AS (
      UPDATE runs SET
        status = result.status,
        summary = result.summary,
        warnings = result.warnings,
        errors = result.errors,
        touched_issue_urls = result.touched_issue_urls,
        directives = result.directives,
        next_heartbeat_seconds = result.next_heartbeat_seconds,
        error_code = result.error_code,
        finished_at = clock_timestamp(),
        claim_expires_at = NULL
      FROM result
      WHERE runs.id = any(${finished.map(({ id }) => id)}::uuid[])
        AND runs.id = result.id AND runs.status = 'running' AND runs.epoch = result.epoch
      RETURNING runs.*
    ), recorded AS (
      INSERT INTO run_steps (run_id, position, name, status, duration_ms)
      SELECT finished.id, step.position, step.value ->> 'name', step.value ->> 'status',
        (step.value ->> 'duration_ms')::int
      FROM finished JOIN result USING (id),
        jsonb_array_elements(result.steps) WITH ORDINALITY AS step (value, position)
    )
    SELECT * FROM finished`.execute(db);
  const byId = new Map(rows.map((run) => [run.id, run]));
  return finished.map(({ id }) => byId.get(id));
}

function toRecord({ touchedIssueUrls, nextHeartbeatSeconds, errorCode, ...run }: FinishedRun) {
  return {
    ...run,
    error_code: errorCode ?? null,
    touched_issue_urls: touchedIssueUrls,
    next_heartbeat_seconds: nextHeartbeatSeconds,
  };
}

/** Prolongs the leases of these claims. Returns the runs that are still held; the rest is lost. */
export async function renewClaims(
  db: Db,
  options: { ids: string[]; holder: string; leaseSeconds: number },
): Promise<string[]> {
  const rows = await db
    .updateTable('runs')
    .set({
      claim_expires_at: sql<Date>`now() + make_interval(secs => ${options.leaseSeconds})`,
    })
    .where('id', '=', sql<string>`any(${options.ids}::uuid[])`)
    .where('claimed_by', '=', options.holder)
    .where('status', '=', 'running')
    .returning('id')
    .execute();
  return rows.map((row) => row.id);
}

export type Dispatch = {
  id: string;
  kind: RunKind;
  agentName: string;
  dispatch: number;
  /** The host whose workers shall have it; null: any. */
  host: string | null;
  /** How many runs of the same agent wait before it: agents take turns. */
  ahead?: number;
};

/** Gives a claim back before its lease ends, so that another worker need not wait for it. */
export async function releaseClaim(
  db: Db,
  claim: { id: string; epoch: number },
): Promise<Dispatch | undefined> {
  return await db
    .updateTable('runs')
    .set({
      status: 'queued',
      claimed_by: null,
      claim_expires_at: null,
      dispatch: sql<number>`dispatch + 1`,
      dispatched_at: sql<Date>`now()`,
    })
    .where('id', '=', claim.id)
    .where('status', '=', 'running')
    .where('epoch', '=', claim.epoch)
    .returning(['id', 'kind', 'agent_name as agentName', 'dispatch', route.as('host')])
    .executeTakeFirst();
}

/**
 * Queued runs that were handed to the queue at least `olderThanSeconds` ago and are still not
 * claimed; each is returned once per that time, to one caller. The queue may have lost them.
 */
export async function takeOverdue(
  db: Db,
  options: { olderThanSeconds: number; limit: number },
): Promise<Dispatch[]> {
  const { rows } = await sql<Dispatch>`
    UPDATE runs SET dispatched_at = now()
    WHERE id IN (
      SELECT id FROM runs
      WHERE finished_at IS NULL AND status = 'queued'
        AND dispatched_at < now() - make_interval(secs => ${options.olderThanSeconds})
      ORDER BY dispatched_at
      LIMIT ${options.limit} FOR UPDATE SKIP LOCKED
    )
    RETURNING id, kind, agent_name AS "agentName", dispatch, ${route} AS host`.execute(db);
  return rows;
}

/** Counts up the dispatch of queued runs, so that they get a new job id. */
export async function nextDispatch(db: Db, ids: string[]): Promise<Dispatch[]> {
  return await db
    .updateTable('runs')
    .set({ dispatch: sql<number>`dispatch + 1` })
    .where('id', '=', sql<string>`any(${ids}::uuid[])`)
    .where('status', '=', 'queued')
    .returning(['id', 'kind', 'agent_name as agentName', 'dispatch', route.as('host')])
    .execute();
}
