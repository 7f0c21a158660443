import type { Db } from '../../db/connect.ts';
import { firstIdAt } from '../../db/queries/run-ids.ts';
import { runsAfter, runsById } from '../../db/queries/run-tally.ts';
import type { RunKind, RunStatus } from '../../db/schema.ts';

export type FinishedRun = { kind: RunKind; status: RunStatus; seconds: number };

export type RunTally = {
  /** Runs that finished since the last call, each told once. Not to be called while it runs. */
  takeFinished(): Promise<FinishedRun[]>;
};

/**
 * Reads from the rows which runs have finished, whoever worked on them. It begins with those that
 * are accepted from now on. A run is first looked at `settleMs` after its acceptance, so that rows
 * written late, or with the id of a clock that is a little behind, are not passed over.
 */
export function createRunTally(options: {
  db: Db;
  settleMs: number;
  /** Most rows that one call reads; the next call goes on from there. */
  batch: number;
  now: () => number;
}): RunTally {
  const { db, settleMs, batch, now } = options;
  let after = firstIdAt(new Date(now()));
  let open: string[] = [];

  return {
    takeFinished: async () => {
      const earlier = open.length > 0 ? await runsById(db, open) : [];
      const acceptedBefore = new Date(now() - settleMs);
      const fresh = await runsAfter(db, { after, acceptedBefore, limit: batch });
      after = fresh.at(-1)?.id ?? after;
      const runs = [...earlier, ...fresh];
      open = runs.filter(({ seconds }) => seconds === null).map(({ id }) => id);
      return runs.flatMap(({ kind, status, seconds }) =>
        seconds === null ? [] : [{ kind, status, seconds }],
      );
    },
  };
}
