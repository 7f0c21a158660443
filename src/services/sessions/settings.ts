import type { AgentPolicy } from '../../db/schema.ts';

/** What holds for sessions of agents whose policy does not say otherwise. */
export type SessionSettings = {
  /** Seconds of silence after which a session is taken for dead. */
  leaseSeconds: number;
  /** Hard limit in seconds; null: none. */
  timeoutSeconds: number | null;
  /** Seconds until the first heartbeat must have come. */
  startSeconds: number;
  /** How often work is resumed before a person must look. */
  resumeBudget: number;
  /**
   * Seconds before the first resume; each further one waits twice as long, and four times as long where the attempt
   * lived for less than half a minute.
   */
  resumeBackoffSeconds: number;
  /** How often a session is prepared and started before it ends as failed: over about half an hour. */
  spawnTries: number;
  /** Days that checkpoints of work that did not succeed are kept. */
  checkpointRetentionDays: number;
  /** Days that the result of finished work is kept that has not landed. */
  keepResultDays: number;
};

export const defaultSessionSettings: SessionSettings = {
  leaseSeconds: 60,
  timeoutSeconds: null,
  startSeconds: 120,
  resumeBudget: 3,
  resumeBackoffSeconds: 2,
  spawnTries: 12,
  checkpointRetentionDays: 14,
  keepResultDays: 7,
};

export type AskedTimes = { leaseSeconds?: number | undefined; timeoutSeconds?: number | undefined };

/** What was asked for goes before the agent's policy, and that before the server's settings. */
export function sessionTimes(asked: AskedTimes, policy: AgentPolicy, settings: SessionSettings) {
  return {
    leaseSeconds: asked.leaseSeconds ?? policy.leaseSeconds ?? settings.leaseSeconds,
    timeoutSeconds: asked.timeoutSeconds ?? policy.timeoutSeconds ?? settings.timeoutSeconds,
    startSeconds: policy.startSeconds ?? settings.startSeconds,
  };
}
