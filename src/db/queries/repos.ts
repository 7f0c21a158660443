import { type SqlBool, sql } from 'kysely';
import type { Db } from '../connect.ts';
import { type Page, type PageRequest, newestFirst } from '../page.ts';
import type { Repo } from '../schema.ts';

export type RepoName = { owner: string; name: string };

const isNamed = ({ owner, name }: RepoName) =>
  sql<SqlBool>`(lower(owner), lower(name)) = (lower(${owner}), lower(${name}))`;

/** The repository of this name, in whatever letter case; made with `id` when it is new. */
export async function upsertRepo(db: Db, id: string, repo: RepoName): Promise<Repo> {
  await db
    .insertInto('repos')
    .values({ id, owner: repo.owner, name: repo.name })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return await db
    .selectFrom('repos')
    .selectAll()
    .where('forge', '=', 'github')
    .where(isNamed(repo))
    .executeTakeFirstOrThrow();
}

export async function findRepo(db: Db, repo: RepoName): Promise<Repo | undefined> {
  return await db
    .selectFrom('repos')
    .selectAll()
    .where('forge', '=', 'github')
    .where(isNamed(repo))
    .executeTakeFirst();
}

export function listRepos(db: Db, request: PageRequest): Promise<Page<Repo>> {
  return newestFirst(db.selectFrom('repos').selectAll(), request);
}

/** Forgets the repository with its issues and claims. Returns whether there was one. */
export async function deleteRepo(db: Db, repo: RepoName): Promise<boolean> {
  const result = await db
    .deleteFrom('repos')
    .where('forge', '=', 'github')
    .where(isNamed(repo))
    .executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** Makes these the agent's repositories, and no others. */
export async function setAgentRepos(db: Db, agentId: string, repoIds: string[]): Promise<void> {
  await sql`
    WITH wanted AS (SELECT unnest(${repoIds}::uuid[]) AS repo_id),
    removed AS (
      DELETE FROM agent_repos
      WHERE agent_id = ${agentId} AND repo_id NOT IN (SELECT repo_id FROM wanted)
    )
    INSERT INTO agent_repos (agent_id, repo_id) SELECT ${agentId}, repo_id FROM wanted
    ON CONFLICT DO NOTHING`.execute(db);
}

/** The repositories of each of these agents, by agent id; in order of their names. */
export async function listReposOfAgents(
  db: Db,
  agentIds: string[],
): Promise<Map<string, RepoName[]>> {
  const rows = await db
    .selectFrom('repos')
    .innerJoin('agent_repos', 'agent_repos.repo_id', 'repos.id')
    .select(['agent_id', 'owner', 'name'])
    .where('agent_id', '=', sql<string>`any(${agentIds}::uuid[])`)
    .orderBy('owner')
    .orderBy('name')
    .execute();
  const grouped = new Map<string, RepoName[]>();
  for (const { agent_id, ...repo } of rows) {
    grouped.set(agent_id, [...(grouped.get(agent_id) ?? []), repo]);
  }
  return grouped;
}

/** Lets the next heartbeat ask upstream again at once, e.g. after the operator fixed the cause. */
export async function clearRepoFailures(db: Db, id: string): Promise<void> {
  await db
    .updateTable('repos')
    .set({ next_attempt_at: null, label_next_attempt_at: null })
    .where('id', '=', id)
    .execute();
}

/** Whether the agent was given this repository. */
export async function tracksRepo(db: Db, agentId: string, repo: RepoName): Promise<boolean> {
  const row = await db
    .selectFrom('repos')
    .innerJoin('agent_repos', 'agent_repos.repo_id', 'repos.id')
    .select('repos.id')
    .where('agent_id', '=', agentId)
    .where(isNamed(repo))
    .executeTakeFirst();
  return row !== undefined;
}
