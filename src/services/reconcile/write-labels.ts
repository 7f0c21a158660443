import type { ClaimRow } from '../../db/queries/claims.ts';
import { type LabelState, queueLabels, readLabelStates } from '../../db/queries/label-queue.ts';
import { groupWarnings, namesOf } from '../group-warnings.ts';
import type { ReconcileDeps } from './settings.ts';

export type LabelReport = { writtenUrls: string[]; warnings: string[] };

const STEP = 'reconcile issues';

/**
 * Has the labels of these claims written, best effort: they are queued, and waited for as long as a
 * heartbeat may. What is left over then is written without it.
 *
 * @throws the reason of `signal`
 */
export async function writeLabels(
  deps: ReconcileDeps,
  rows: ClaimRow[],
  signal: AbortSignal,
): Promise<LabelReport> {
  const { db, settings, forge, writer } = deps;
  if (rows.length === 0) return { writtenUrls: [], warnings: [] };
  if (!forge.canWrite) {
    const text = `${subject(rows)} not written without credentials. ${forge.credentialsHint}`;
    return { writtenUrls: [], warnings: [text] };
  }
  const ids = rows.map(({ claimId }) => claimId);
  await queueLabels(db, ids);
  const waiting = (await readLabelStates(db, ids)).filter(({ waits }) => waits);
  if (waiting.length > 0) {
    const budget = AbortSignal.any([signal, AbortSignal.timeout(settings.writeBudgetMs)]);
    writer.wake();
    await writer.tried(
      waiting.map(({ claimId }) => claimId),
      budget,
    );
    signal.throwIfAborted();
  }
  return report(rows, await readLabelStates(db, ids));
}

/** What became of them is told by the rows, whoever wrote. */
function report(rows: ClaimRow[], states: LabelState[]): LabelReport {
  const before = new Map(rows.map((row) => [row.claimId, row.labelsWrittenAt?.getTime()]));
  const written = states.filter(
    ({ claimId, due, labelsWrittenAt }) =>
      !due && labelsWrittenAt !== null && labelsWrittenAt.getTime() !== before.get(claimId),
  );
  const due = states.filter((state) => state.due);
  const failures = due.flatMap(({ owner, name, number, failure, repoFailure }) => {
    if (repoFailure !== null) return [{ subject: `${owner}/${name}`, text: repoFailure }];
    return failure === null ? [] : [{ subject: `${owner}/${name}#${number}`, text: failure }];
  });
  const left = due.filter(({ failure, waits }) => waits && failure === null);
  return {
    writtenUrls: written.map(({ url }) => url),
    warnings: [...groupWarnings(STEP, failures), ...leftOver(left)],
  };
}

function subject(issues: { owner: string; name: string }[]): string {
  const repos = namesOf(issues.map(({ owner, name }) => `${owner}/${name}`));
  const count = issues.length === 1 ? '1 issue are' : `${issues.length} issues are`;
  return `${STEP}: ${repos}: The labels of ${count}`;
}

function leftOver(left: LabelState[]): string[] {
  if (left.length === 0) return [];
  return [
    `${subject(left)} still to be written: GitHub takes only so many a minute. They are written in the order in which they came.`,
  ];
}
