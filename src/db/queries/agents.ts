import { sql, type SqlBool } from 'kysely';
import type { Db } from '../connect.ts';
import { type Page, type PageRequest, newestFirst } from '../page.ts';
import type { Agent, AgentPolicy } from '../schema.ts';

export type AgentChanges = { policy?: AgentPolicy; paused?: boolean };

/** SQL: the agent of this name. The index of names is on their lower case. */
export const isNamed = (name: string) =>
  sql<SqlBool>`lower(agents.name) = lower(${name}) AND agents.name = ${name}`;

/**
 * Creates the agent or changes what is given of it. Returns undefined where another agent has
 * the same name in other letter case.
 */
export async function upsertAgent(
  db: Db,
  id: string,
  name: string,
  changes: AgentChanges,
): Promise<Agent | undefined> {
  const set = {
    ...(changes.policy && { policy: JSON.stringify(changes.policy) }),
    ...(changes.paused !== undefined && { paused: changes.paused }),
  };
  await db
    .insertInto('agents')
    .values({ id, name, ...set })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return await db
    .updateTable('agents')
    .set((eb) => ({ ...set, updated_at: eb.fn<Date>('now') }))
    .where(isNamed(name))
    .returningAll()
    .executeTakeFirst();
}

export async function findAgent(db: Db, name: string): Promise<Agent | undefined> {
  return await db.selectFrom('agents').selectAll().where(isNamed(name)).executeTakeFirst();
}

/** An agent, and whether a heartbeat has anything to look after for it. */
export type AgentAtWork = Agent & {
  tracks_repos: boolean;
  has_claims: boolean;
  has_sessions: boolean;
};

/** Agents by id, many in one read; undefined where there is none. In the order of `ids`. */
export async function findAgentsAtWork(
  db: Db,
  ids: string[],
): Promise<(AgentAtWork | undefined)[]> {
  const rows = await db
    .selectFrom('agents')
    .selectAll()
    .select([
      sql<boolean>`EXISTS (SELECT FROM agent_repos WHERE agent_id = agents.id)`.as('tracks_repos'),
      sql<boolean>`EXISTS (
        SELECT FROM issue_claims WHERE agent_id = agents.id AND labels_settled_at IS NULL
      )`.as('has_claims'),
      sql<boolean>`EXISTS (SELECT FROM sessions WHERE agent_id = agents.id)`.as('has_sessions'),
    ])
    .where('id', '=', sql<string>`any(${ids}::uuid[])`)
    .execute();
  const byId = new Map(rows.map((agent) => [agent.id, agent]));
  return ids.map((id) => byId.get(id));
}

export function listAgents(db: Db, request: PageRequest): Promise<Page<Agent>> {
  return newestFirst(db.selectFrom('agents').selectAll(), request);
}

export async function findAgentPolicy(db: Db, id: string): Promise<AgentPolicy | undefined> {
  const row = await db
    .selectFrom('agents')
    .select('policy')
    .where('id', '=', id)
    .executeTakeFirst();
  return row?.policy;
}
