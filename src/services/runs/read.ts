import type { Db } from '../../db/connect.ts';
import type { Page, PageRequest } from '../../db/page.ts';
import { findRun, listRuns, type RunFilter, type RunWithSteps } from '../../db/queries/runs.ts';
import { AppError } from '../../errors.ts';

/** @throws AppError `not_found` */
export async function getRun(db: Db, id: string): Promise<RunWithSteps> {
  const run = await findRun(db, id);
  if (run) return run;
  throw new AppError(
    'not_found',
    `There is no run ${id}. It may have been deleted after its retention.`,
  );
}

export async function listRunsFor(
  db: Db,
  filter: RunFilter,
  page: PageRequest,
): Promise<Page<RunWithSteps>> {
  return await listRuns(db, filter, page);
}
