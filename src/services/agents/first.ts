import type { Db } from '../../db/connect.ts';
import { listAgents } from '../../db/queries/agents.ts';
import { ensureAgent } from './put.ts';

/** The agent that a new installation begins with, so that the first call has someone to call for. */
const FIRST_AGENT = 'builder';

/** The name of an agent that exists: the newest, or `builder`, created when there is none. */
export async function ensureFirstAgent(db: Db): Promise<string> {
  const { items } = await listAgents(db, { limit: 1 });
  return items[0]?.name ?? (await ensureAgent(db, FIRST_AGENT)).name;
}
