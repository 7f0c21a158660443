import type { Db } from '../../db/connect.ts';
import { type AgentChanges, upsertAgent } from '../../db/queries/agents.ts';
import type { Agent } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { newId } from '../ids.ts';

/** Creates the agent, or changes what is given of it. */
export async function putAgent(db: Db, name: string, changes: AgentChanges): Promise<Agent> {
  const agent = await upsertAgent(db, newId(), name, changes);
  if (!agent) {
    throw new AppError(
      'conflict',
      `An agent exists whose name differs from "${name}" only in upper and lower case. ` +
        'Use its name as it is written in GET /api/agents.',
    );
  }
  return agent;
}

export const ensureAgent = (db: Db, name: string): Promise<Agent> => putAgent(db, name, {});
