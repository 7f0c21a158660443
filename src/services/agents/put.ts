import type { Db } from '../../db/connect.ts';
import { type AgentChanges, upsertAgent } from '../../db/queries/agents.ts';
import { followPolicy } from '../../db/queries/session-verbs.ts';
import { type RepoName, setAgentRepos, upsertRepo } from '../../db/queries/repos.ts';
import type { Agent } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { type Actor, noteAct, SYSTEM } from '../audit/note.ts';
import { newId } from '../ids.ts';
import { defaultSessionSettings } from '../sessions/settings.ts';

export type PutAgent = AgentChanges & {
  /** The repositories that the agent works on from now on; those not yet tracked are tracked. */
  repos?: RepoName[];
};

/**
 * Creates the agent, or changes what is given of it: all of it or, on any error, nothing. Sessions that wait
 * follow a changed policy.
 */
export async function putAgent(
  db: Db,
  name: string,
  changes: PutAgent,
  actor: Actor = SYSTEM,
): Promise<Agent> {
  return await db.transaction().execute(async (trx) => {
    const agent = await upsertAgent(trx, newId(), name, changes);
    if (!agent) throw sameNameInOtherCase(name);
    if (changes.repos) {
      const ids: string[] = [];
      for (const repo of sorted(changes.repos)) ids.push((await upsertRepo(trx, newId(), repo)).id);
      await setAgentRepos(trx, agent.id, [...new Set(ids)]);
    }
    if (changes.policy) {
      await followPolicy(trx, { agentId: agent.id, limits: defaultSessionSettings });
    }
    await noteAct(trx, actor, { action: 'agent.put', target: name, details: { ...changes } });
    return agent;
  });
}

/** The agent of this name, created if there is none. In the caller's transaction. */
export async function ensureAgent(trx: Db, name: string): Promise<Agent> {
  const agent = await upsertAgent(trx, newId(), name, {});
  if (!agent) throw sameNameInOtherCase(name);
  return agent;
}

/** In one order everywhere, so that two calls that create the same repositories cannot deadlock. */
const sorted = (repos: RepoName[]): RepoName[] =>
  repos.toSorted((a, b) => key(a).localeCompare(key(b), 'en'));

const key = ({ owner, name }: RepoName): string => `${owner}/${name}`.toLowerCase();

function sameNameInOtherCase(name: string): AppError {
  return new AppError(
    'conflict',
    `An agent exists whose name differs from "${name}" only in upper and lower case. ` +
      'Use its name as it is written in GET /api/agents.',
  );
}
