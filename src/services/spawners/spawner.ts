import type { Takeover } from '../../contract/takeover.ts';
import type { Session, SpawnerPolicy } from '../../db/schema.ts';

export type SpawnRequest = {
  /** Already `starting`; its first heartbeat is waited for until its start deadline. */
  session: Session;
  /** The session's token. Those of earlier tries are void. */
  token: string;
  /** What the agent begins with. */
  continuation: string;
  /** The run that starts it. */
  runId: string;
};

/**
 * Starts the agent of a resumed session, or has it started. Returns once that was done or taken on;
 * it does not wait for the agent's work.
 *
 * @throws AppError: it was not started, and why. It is tried again.
 */
export type Spawner<Policy extends SpawnerPolicy> = (
  request: SpawnRequest,
  policy: Policy,
  signal: AbortSignal,
) => Promise<void>;

/** How agents are started. `pull` is not among them: there the session waits for a claim. */
export type Spawners = {
  command: Spawner<Extract<SpawnerPolicy, { type: 'command' }>>;
  webhook: Spawner<Extract<SpawnerPolicy, { type: 'webhook' }>>;
  /** Goes on as the supervisor did that died: in its folder, with its command. */
  takeover: (request: SpawnRequest, takeover: Takeover) => Promise<void>;
};
