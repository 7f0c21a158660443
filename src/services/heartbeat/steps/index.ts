import type { Step } from '../step.ts';
import { loadAgent } from './load-agent.ts';
import { reconcileIssues } from './reconcile-issues.ts';
import { syncIssues } from './sync-issues.ts';

/** The steps of a heartbeat, in order. */
export const heartbeatSteps: readonly Step[] = [loadAgent, syncIssues, reconcileIssues];
