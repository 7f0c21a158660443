import type { Db } from '../../db/connect.ts';
import type { AgentAtWork } from '../../db/queries/agents.ts';
import type { Run } from '../../db/schema.ts';
import type { Log } from '../../log.ts';
import type { ReconcileDeps } from '../reconcile/settings.ts';
import type * as runs from '../runs/step.ts';
import type { SyncDeps } from '../sync/settings.ts';

/** What the steps of one pass share. */
export type Pass = {
  deps: HeartbeatDeps;
  run: Run;
  /** Set by the step `load agent`, which is critical: the steps after it can rely on it. */
  agent: AgentAtWork | undefined;
  /** To be called before what is only a wait: others work meanwhile. */
  onWait: () => void;
};

export type Step = runs.Step<Pass>;

export type HeartbeatDeps = {
  db: Db;
  log: Log;
  /** Reads an agent by id; reads that come together share a query. */
  findAgent(id: string): Promise<AgentAtWork | undefined>;
  sync: SyncDeps;
  reconcile: ReconcileDeps;
  /** What an agent is told when its policy names no `heartbeatSeconds`. */
  heartbeatSeconds: number;
};

export function loadedAgent(pass: Pass): AgentAtWork {
  if (!pass.agent) throw new Error('the step "load agent" must come first');
  return pass.agent;
}
