import type { Step } from '../step.ts';
import { loadAgent } from './load-agent.ts';

/** The steps of a heartbeat, in order. */
export const heartbeatSteps: readonly Step[] = [loadAgent];
