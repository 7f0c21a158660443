import { findAgentPolicy } from '../../db/queries/agents.ts';
import { tracksRepo } from '../../db/queries/repos.ts';
import type { Session } from '../../db/schema.ts';
import type { RemoteTarget } from '../git/push.ts';
import type { CheckpointDeps } from './deps.ts';

/**
 * A remote as a session's work may reach it. The address comes from the agent, so the operator's
 * credentials go only to repositories that the operator gave to this agent: those that it tracks, and
 * its checkpoint remote. Any other one is reached as a stranger would reach it.
 */
export async function remoteFor(
  deps: CheckpointDeps,
  session: Pick<Session, 'agent_id'>,
  url: string,
): Promise<Required<RemoteTarget>> {
  const given = await isGiven(deps, session.agent_id, url);
  return { url, policy: deps.urls, credentials: given ? deps.credentials : [] };
}

async function isGiven(deps: CheckpointDeps, agentId: string, url: string): Promise<boolean> {
  if (deps.credentials.length === 0) return false;
  const policy = await findAgentPolicy(deps.db, agentId);
  if ([policy?.checkpointRemote, deps.remote].includes(url)) return true;
  const repo = repoOf(url);
  return repo !== undefined && (await tracksRepo(deps.db, agentId, repo));
}

/** The last two parts of the path: `https://github.com/acme/app.git` and `git@github.com:acme/app`. */
function repoOf(url: string): { owner: string; name: string } | undefined {
  const [, owner, name] = /[:/]([^/:]+)\/([^/]+?)(?:\.git)?\/?$/.exec(url) ?? [];
  return owner !== undefined && name !== undefined ? { owner, name } : undefined;
}
