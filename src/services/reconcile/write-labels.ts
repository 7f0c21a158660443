import type { ClaimRow } from '../../db/queries/claims.ts';
import type { ReconcileDeps } from './settings.ts';
import { type LabelWrite, writeIssue } from './write-issue.ts';

export type LabelReport = { writtenUrls: string[]; warnings: string[] };

/**
 * Writes labels upstream, best effort: within the pass's budget of requests and time, and one
 * failure of a repository ends the attempts there. What is left over stays due.
 *
 * @throws the reason of `signal`
 */
export async function writeLabels(
  deps: ReconcileDeps,
  writes: LabelWrite[],
  signal: AbortSignal,
): Promise<LabelReport> {
  const { settings, forge } = deps;
  const warnings = new Map<string, string>();
  const due = writes.filter(({ row }) => !isBlocked(row, warnings));
  if (due.length === 0) return { writtenUrls: [], warnings: [...warnings.values()] };
  if (!forge.canWrite) {
    const text = `${subject(due)} not written without credentials. ${forge.credentialsHint}`;
    return { writtenUrls: [], warnings: [...warnings.values(), text] };
  }

  const budget = AbortSignal.any([signal, AbortSignal.timeout(settings.writeBudgetMs)]);
  const writtenUrls: string[] = [];
  const left: LabelWrite[] = [];
  let requests = 0;
  let limited = false;
  for (const write of due) {
    const { row } = write;
    if (warnings.has(row.repoId)) continue;
    const spent = requests > 0 && requests + requestsOf(write) > settings.writesPerPass;
    if (limited || budget.aborted || spent) {
      left.push(write);
      continue;
    }
    requests += requestsOf(write);
    const outcome = await attempt(deps, write, budget, signal);
    if (!outcome) left.push(write);
    else if (outcome.kind === 'written') writtenUrls.push(row.url);
    else if (outcome.kind === 'failed') {
      warnings.set(row.repoId, warning(row, outcome.error.message));
      limited = outcome.error.kind === 'rate_limited';
    }
  }
  return { writtenUrls, warnings: [...warnings.values(), ...leftOver(left)] };
}

const warning = (row: ClaimRow, text: string) =>
  `reconcile issues: ${row.owner}/${row.name}: ${text}`;

const requestsOf = ({ plan }: LabelWrite) => (plan.add.length > 0 ? 1 : 0) + plan.remove.length;

/** Says why labels of a repository that failed a moment ago wait; the sync's failures are said there. */
function isBlocked(row: ClaimRow, warnings: Map<string, string>): boolean {
  if (row.labelsBlocked && row.labelFailureText !== null) {
    warnings.set(row.repoId, warning(row, row.labelFailureText));
  }
  return row.labelsBlocked || row.syncBlocked;
}

/** Undefined when the time for writing is over. */
async function attempt(
  deps: ReconcileDeps,
  write: LabelWrite,
  budget: AbortSignal,
  signal: AbortSignal,
) {
  try {
    return await writeIssue(deps, write, budget);
  } catch (error) {
    signal.throwIfAborted();
    if (budget.aborted) return undefined;
    throw error;
  }
}

function subject(writes: LabelWrite[]): string {
  const repos = [...new Set(writes.map(({ row }) => `${row.owner}/${row.name}`))];
  const issues = writes.length === 1 ? '1 issue are' : `${writes.length} issues are`;
  return `reconcile issues: ${repos.join(', ')}: The labels of ${issues}`;
}

function leftOver(left: LabelWrite[]): string[] {
  if (left.length === 0) return [];
  return [
    `${subject(left)} still to be written; one pass writes only so many, so the next goes on.`,
  ];
}
