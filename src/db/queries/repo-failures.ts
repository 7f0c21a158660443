import { sql } from 'kysely';
import type { Db } from '../connect.ts';

/** Failures of a repository are stored with it, so that every heartbeat reports them alike. */
export type Failure = {
  kind: string;
  text: string;
  /** When upstream wants to be asked again; without it the wait doubles with each failure. */
  retryAfterSeconds: number | undefined;
  backoffSeconds: number;
  maxBackoffSeconds: number;
};

/** The wait counts failures in a row, which the column says. */
export const nextAttempt = (
  failure: Failure,
  count: 'failure_count' | 'label_failure_count',
) => sql<Date>`
  now() + make_interval(secs => coalesce(
    ${failure.retryAfterSeconds ?? null}::double precision,
    least(${failure.maxBackoffSeconds}::double precision,
      ${failure.backoffSeconds}::double precision * 2 ^ least(${sql.ref(count)}, 20))))`;

/** Notes a failure to write labels; other repositories and the sync go on. */
export async function failLabels(db: Db, repoId: string, failure: Failure): Promise<void> {
  await db
    .updateTable('repos')
    .set({
      label_failure_kind: failure.kind,
      label_failure_text: failure.text,
      label_next_attempt_at: nextAttempt(failure, 'label_failure_count'),
      label_failure_count: sql<number>`label_failure_count + 1`,
    })
    .where('id', '=', repoId)
    .execute();
}

/** Counts a failure that may be one issue's alone. Returns how many there were in a row. */
export async function countLabelFailure(db: Db, repoId: string): Promise<number> {
  const row = await db
    .updateTable('repos')
    .set({ label_failure_count: sql<number>`label_failure_count + 1` })
    .where('id', '=', repoId)
    .returning('label_failure_count')
    .executeTakeFirst();
  return row?.label_failure_count ?? 0;
}

export async function clearLabelFailure(db: Db, repoId: string): Promise<void> {
  await db
    .updateTable('repos')
    .set({
      label_failure_kind: null,
      label_failure_text: null,
      label_next_attempt_at: null,
      label_failure_count: 0,
    })
    .where('id', '=', repoId)
    .where('label_failure_count', '>', 0)
    .execute();
}
