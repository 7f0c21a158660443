import type { Db } from '../../db/connect.ts';
import type { Agent, Directive, Run } from '../../db/schema.ts';
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

/** What the steps of one pass share. */
export type Pass<Deps = HeartbeatDeps> = {
  deps: Deps;
  run: Run;
  /** Set by the step `load agent`, which is critical: the steps after it can rely on it. */
  agent: Agent | undefined;
};

export type HeartbeatDeps = {
  db: Db;
  log: Log;
  /** What an agent is told when its policy names no `heartbeatSeconds`. */
  heartbeatSeconds: number;
};

export type Step = {
  name: string;
  /** A critical step that fails ends the pass with an error; others only leave a warning. */
  level: 'critical' | 'best-effort';
  timeoutMs: number;
  run(pass: Pass, signal: AbortSignal): Promise<StepReport>;
};

export function loadedAgent(pass: Pass): Agent {
  if (!pass.agent) throw new Error('the step "load agent" must come first');
  return pass.agent;
}
