import { sql } from 'kysely';
import type { SpawnerPolicy } from '../schema.ts';

/** How a resumed session gets its agent where the policy does not say. */
export const PULL: SpawnerPolicy = { type: 'pull' };

/** SQL: how the agent in `agents` has its resumed sessions started, now. */
export const spawnerType = sql<
  SpawnerPolicy['type']
>`coalesce(agents.policy -> 'spawner' ->> 'type', 'pull')`;

/** SQL: the policy of the agent in `agents` starts resumed sessions in this way, now. */
export const isStartedBy = (type: SpawnerPolicy['type']) => sql<boolean>`${spawnerType} = ${type}`;

/** SQL: the policy of the agent in `agents` has this very spawner, now. */
export const hasSpawner = (spawner: SpawnerPolicy) => sql<boolean>`
  coalesce(agents.policy -> 'spawner', ${JSON.stringify(PULL)}::jsonb)
    = ${JSON.stringify(spawner)}::jsonb`;
