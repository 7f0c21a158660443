import { sql } from 'kysely';

/** What holds for agents whose policy does not say otherwise. */
export type ResumeLimits = {
  resumeBudget: number;
  resumeBackoffSeconds: number;
};

/** SQL: how often the work of an agent in `agents` is resumed. */
export const budgetOf = ({ resumeBudget }: Pick<ResumeLimits, 'resumeBudget'>) => sql<number>`
  coalesce((agents.policy ->> 'resumeBudget')::int, ${resumeBudget}::int)`;

/** SQL: a session of `table` may be resumed once more, by the policy in `agents` and what was granted to its chain. */
export const withinBudget = (table: string, limits: Pick<ResumeLimits, 'resumeBudget'>) =>
  sql<boolean>`(${sql.ref(table)}.attempt <= ${budgetOf(limits)} + ${sql.ref(table)}.extra_budget)`;

/** An attempt that lived no longer has hardly begun: what ended it is likely to be there still. */
const HARDLY_BEGUN = sql`interval '30 seconds'`;

/**
 * SQL: how long after its end the work of a session in `ended` is resumed; each further time twice as long. Where the
 * policy does not say, longer after an attempt that had hardly begun.
 */
export const backoffOf = ({ resumeBackoffSeconds }: ResumeLimits) => sql`
  make_interval(secs => (2 ^ (ended.attempt - 1)) * coalesce(
    (agents.policy ->> 'resumeBackoffSeconds')::float,
    CASE WHEN ended.ended_at < ended.started_at + ${HARDLY_BEGUN} THEN 4 ELSE 1 END
      * ${resumeBackoffSeconds}::float))`;

/** How long a supervisor that goes on itself has for its claim, before others may go on. */
export const RESERVED_TIME = sql`interval '45 seconds'`;
