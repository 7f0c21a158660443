import type { Db } from '../../db/connect.ts';
import type { Page, PageRequest } from '../../db/page.ts';
import { findAgent, listAgents } from '../../db/queries/agents.ts';
import { listReposOfAgents } from '../../db/queries/repos.ts';
import type { Agent, AgentPolicy } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';

/** An agent as the API shows it. */
export type AgentView = {
  name: string;
  /** `owner/name` */
  repos: string[];
  policy: AgentPolicy;
  paused: boolean;
  createdAt: string;
  updatedAt: string;
};

export async function viewAgents(db: Db, agents: Agent[]): Promise<AgentView[]> {
  const repos = await listReposOfAgents(
    db,
    agents.map((agent) => agent.id),
  );
  return agents.map((agent) => ({
    name: agent.name,
    repos: (repos.get(agent.id) ?? []).map(({ owner, name }) => `${owner}/${name}`),
    policy: agent.policy,
    paused: agent.paused,
    createdAt: agent.created_at.toISOString(),
    updatedAt: agent.updated_at.toISOString(),
  }));
}

/** @throws AppError `not_found` */
export async function getAgent(db: Db, name: string): Promise<Agent> {
  const agent = await findAgent(db, name);
  if (agent) return agent;
  throw new AppError(
    'not_found',
    `There is no agent "${name}". PUT /api/agents/${name} creates it; GET /api/agents lists all.`,
  );
}

export async function listAgentViews(db: Db, page: PageRequest): Promise<Page<AgentView>> {
  const { items, nextCursor } = await listAgents(db, page);
  return { items: await viewAgents(db, items), nextCursor };
}
