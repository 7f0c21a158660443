import type { Directive, Run } from '../../db/schema.ts';
import type { Log } from '../../log.ts';

/** What a step found. Warnings are whole sentences: step, repository, cause. */
export type StepReport = {
  /** The step had nothing to do. */
  skipped?: boolean;
  warnings?: string[];
  touchedIssueUrls?: string[];
  directives?: Directive[];
  /** A few words for the run's summary, e.g. `synced 3 repositories`. */
  summary?: string;
};

/** What every pass has, whatever its steps share beside it. */
export type AnyPass = { deps: { log: Log }; run: Run };

export type Step<Pass extends AnyPass> = {
  name: string;
  /** A critical step that fails ends the pass with an error; others only leave a warning. */
  level: 'critical' | 'best-effort';
  timeoutMs: number;
  run(pass: Pass, signal: AbortSignal): Promise<StepReport>;
};
