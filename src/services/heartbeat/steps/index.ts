import type { Step } from '../step.ts';
import { loadAgent } from './load-agent.ts';
import { reconcileIssues } from './reconcile-issues.ts';
import { reconcileSessions } from './reconcile-sessions.ts';
import { renewSession } from './renew-session.ts';
import { syncIssues } from './sync-issues.ts';

/** The steps of a heartbeat, in order. */
export const heartbeatSteps: readonly Step[] = [
  loadAgent,
  renewSession,
  syncIssues,
  reconcileIssues,
  reconcileSessions,
];
