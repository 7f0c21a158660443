import type { Db } from '../../db/connect.ts';
import type { Page, PageRequest } from '../../db/page.ts';
import { findAgent, listAgents } from '../../db/queries/agents.ts';
import type { Agent, AgentPolicy } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';

/** An agent as the API shows it. */
export type AgentView = {
  name: string;
  policy: AgentPolicy;
  paused: boolean;
  createdAt: string;
  updatedAt: string;
};

export function toAgentView(agent: Agent): AgentView {
  return {
    name: agent.name,
    policy: agent.policy,
    paused: agent.paused,
    createdAt: agent.created_at.toISOString(),
    updatedAt: agent.updated_at.toISOString(),
  };
}

/** @throws AppError `not_found` */
export async function getAgent(db: Db, name: string): Promise<AgentView> {
  const agent = await findAgent(db, name);
  if (agent) return toAgentView(agent);
  throw new AppError(
    'not_found',
    `There is no agent "${name}". PUT /api/agents/${name} creates it; GET /api/agents lists all.`,
  );
}

export async function listAgentViews(db: Db, page: PageRequest): Promise<Page<AgentView>> {
  const { items, nextCursor } = await listAgents(db, page);
  return { items: items.map(toAgentView), nextCursor };
}
