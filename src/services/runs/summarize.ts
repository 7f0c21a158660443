import type { RunResult } from '../../db/queries/run-claims.ts';
import type { Directive } from '../../db/schema.ts';
import { plural } from '../plural.ts';
import type { StepOutcome } from './run-step.ts';

// Texts quote what other systems said; PostgreSQL keeps neither NUL nor half characters.
const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '');

const unique = (values: string[]): string[] => [...new Set(values.map(storable))];

/** Turns the outcomes of the steps into the run's result. Pure: the same outcomes, the same result. */
export function summarize(outcomes: StepOutcome[]): Omit<RunResult, 'nextHeartbeatSeconds'> {
  const errors = unique(
    outcomes.flatMap(({ status, failure }) => (status === 'error' && failure ? [failure] : [])),
  );
  const warnings = unique(
    outcomes.flatMap(({ status, report, failure }) => [
      ...(report.warnings ?? []),
      ...(status === 'warning' && failure ? [failure] : []),
    ]),
  );
  const status = errors.length > 0 ? 'error' : warnings.length > 0 ? 'warning' : 'ok';
  return {
    status,
    errorCode: outcomes.find((outcome) => outcome.status === 'error')?.code ?? null,
    summary: summaryOf(outcomes, warnings.length, errors[0]),
    warnings,
    errors,
    touchedIssueUrls: unique(
      outcomes.flatMap(({ report }) => report.touchedIssueUrls ?? []),
    ).sort(),
    directives: uniqueDirectives(outcomes.flatMap(({ report }) => report.directives ?? [])),
    steps: outcomes.map(({ name, status, durationMs }) => ({
      name,
      status,
      duration_ms: durationMs,
    })),
  };
}

/** Two steps may see the same directive; the agent hears it once. */
function uniqueDirectives(directives: Directive[]): Directive[] {
  return [...new Map(directives.map((it) => [`${it.sessionId} ${it.type}`, it])).values()];
}

function summaryOf(outcomes: StepOutcome[], warnings: number, error: string | undefined): string {
  if (error) return `Stopped: ${error}`;
  const done = outcomes.flatMap(({ report }) => report.summary ?? []);
  const text = done.length > 0 ? done.join(', ') : 'nothing to do';
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return warnings > 0 ? `${sentence}; ${plural(warnings, 'warning')}.` : `${sentence}.`;
}
