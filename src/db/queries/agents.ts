import type { Db } from '../connect.ts';
import { type Page, type PageRequest, toPage } from '../page.ts';
import type { Agent, AgentPolicy } from '../schema.ts';

export type AgentChanges = { policy?: AgentPolicy; paused?: boolean };

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
    .where('name', '=', name)
    .returningAll()
    .executeTakeFirst();
}

export async function findAgent(db: Db, name: string): Promise<Agent | undefined> {
  return await db.selectFrom('agents').selectAll().where('name', '=', name).executeTakeFirst();
}

export async function listAgents(db: Db, { limit, cursor }: PageRequest): Promise<Page<Agent>> {
  const rows = await db
    .selectFrom('agents')
    .selectAll()
    .$if(cursor !== undefined, (query) => query.where('id', '<', cursor ?? ''))
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
  return toPage(rows, limit);
}

export async function anyAgentExists(db: Db): Promise<boolean> {
  return (await db.selectFrom('agents').select('id').limit(1).executeTakeFirst()) !== undefined;
}
