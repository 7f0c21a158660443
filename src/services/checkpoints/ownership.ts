import { dirname } from 'node:path';
import { findAgentPolicy } from '../../db/queries/agents.ts';
import { isOthersPath, ownPath } from '../../db/queries/worktree-owners.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import {
  alternatesOf,
  isBelow,
  locateRepository,
  realRoots,
  type Repository,
} from '../git/repository.ts';
import type { CheckpointDeps } from './deps.ts';

/**
 * Refuses a worktree whose repository is another agent's: what is captured can be downloaded. An agent has
 * the folders of its `policy.roots`, if an operator has set them. Without, the first agent that uses a
 * repository of this host has it, so that a new installation works, until an operator gives it away.
 *
 * @throws AppError `forbidden`
 */
export async function requireOwn(
  deps: CheckpointDeps,
  session: Pick<Session, 'agent_id'>,
  worktree: string,
): Promise<void> {
  const policy = await findAgentPolicy(deps.db, session.agent_id);
  const given = policy?.roots && (await realRoots(policy.roots));
  if (given) {
    // First, so that the answer tells nothing of what is elsewhere.
    const roots = [...given, deps.places.worktrees];
    await locateRepository(worktree, { ...deps.policy, roots });
  }
  const repository = await locateRepository(worktree, deps.policy);
  for (const path of partsOf(repository)) {
    if (given && isBelow(path, given)) continue;
    const owned = {
      host: deps.host,
      path: repositoryOf(path, repository),
      agentId: session.agent_id,
    };
    if (!(await ownPath(deps.db, owned))) throw refused('is used by another agent');
  }
  for (const store of await borrowedStores(repository.objectsDir)) {
    if (given && isBelow(store, given)) continue;
    const owned = { host: deps.host, path: dirname(store), agentId: session.agent_id };
    if (await isOthersPath(deps.db, owned)) {
      throw refused('borrows objects of a repository that is used by another agent');
    }
  }
}

const partsOf = ({ worktree, gitDir, commonDir }: Repository) => [worktree, gitDir, commonDir];

/** Linked worktrees share one repository: it is what somebody has. */
const repositoryOf = (path: string, { commonDir }: Repository) =>
  isBelow(path, [dirname(commonDir)]) || isBelow(path, [commonDir]) ? commonDir : path;

async function borrowedStores(objectsDir: string, depth = 0): Promise<string[]> {
  if (depth > 5) return [];
  const borrowed = await realRoots(await alternatesOf(objectsDir));
  const deeper = await Promise.all(borrowed.map((each) => borrowedStores(each, depth + 1)));
  return [...borrowed, ...deeper.flat()];
}

function refused(why: string): AppError {
  return new AppError(
    'forbidden',
    `The worktree ${why}. An operator gives an agent its folders with PUT /api/agents/{agentName} {"policy": {"roots": ["/path"]}}.`,
  );
}
