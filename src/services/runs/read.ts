import type { Db } from '../../db/connect.ts';
import type { Page, PageRequest } from '../../db/page.ts';
import {
  countQueued,
  findRun,
  listRuns,
  type RunFilter,
  type RunWithSteps,
} from '../../db/queries/runs.ts';
import { AppError } from '../../errors.ts';

/** @throws AppError `not_found` */
export async function getRun(db: Db, id: string): Promise<RunWithSteps> {
  const run = await findRun(db, id);
  if (run) return run;
  throw noSuchRun(id);
}

export const noSuchRun = (id: string): AppError =>
  new AppError(
    'not_found',
    `There is no run ${id} that this token may see. It may have been deleted after its retention.`,
  );

export async function listRunsFor(
  db: Db,
  filter: RunFilter,
  page: PageRequest,
): Promise<Page<RunWithSteps>> {
  return await listRuns(db, filter, page);
}

/** How many runs wait for a worker, counted no further than `upTo`. */
export const countQueuedRuns = (db: Db, upTo: number): Promise<number> => countQueued(db, upTo);
