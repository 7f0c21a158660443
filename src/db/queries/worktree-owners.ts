import { sql } from 'kysely';
import type { Db } from '../connect.ts';

export type OwnedPath = { host: string; path: string; agentId: string };

/** SQL: an operator gave a folder that the path is in to another agent. */
const isGivenAway = ({ path, agentId }: OwnedPath) => sql<boolean>`EXISTS (
  SELECT FROM agents, jsonb_array_elements_text(agents.policy->'roots') AS root
  WHERE agents.id <> ${agentId} AND (${path} = root OR starts_with(${path}, rtrim(root, '/') || '/')))`;

/** Makes a repository the agent's unless it is another's. False: it is. */
export async function ownPath(db: Db, owned: OwnedPath): Promise<boolean> {
  const { rows } = await sql`
    INSERT INTO worktree_owners AS owners (host, path, agent_id)
    SELECT ${owned.host}, ${owned.path}, ${owned.agentId}::uuid WHERE NOT ${isGivenAway(owned)}
    ON CONFLICT (host, path) DO UPDATE SET path = excluded.path
      WHERE owners.agent_id = excluded.agent_id
    RETURNING path`.execute(db);
  return rows.length > 0;
}

/** Whether a repository is another agent's. */
export async function isOthersPath(db: Db, owned: OwnedPath): Promise<boolean> {
  const { rows } = await sql<{ others: boolean }>`
    SELECT ${isGivenAway(owned)} OR EXISTS (
      SELECT FROM worktree_owners
      WHERE host = ${owned.host} AND path = ${owned.path} AND agent_id <> ${owned.agentId}::uuid
    ) AS others`.execute(db);
  return rows[0]?.others ?? true;
}
