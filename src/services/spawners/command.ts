import { chmod, lchown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { SpawnerDeps } from './create.ts';
import { launch, makeAgentFolder } from './launch.ts';
import { fill, placeholderProblem } from './placeholders.ts';
import type { Spawners } from './spawner.ts';

/**
 * Starts the program of an agent's policy in the worktree of the session. It finds its session in
 * `DEFIB_SESSION_ID`, `DEFIB_SESSION_TOKEN`, `DEFIB_URL` and `DEFIB_PROMPT_FILE`. An argument that is
 * `{promptFile}`, `{prompt}`, `{worktree}` or `{sessionId}` is replaced.
 */
export function createCommandSpawner(deps: SpawnerDeps): Spawners['command'] {
  return async (request, policy) => {
    const { session, continuation } = request;
    // Commands of policies that are older than the check are here for the first time.
    const problem = placeholderProblem(policy.command);
    if (problem !== undefined) throw new AppError('invalid', `policy.spawner.command ${problem}`);
    const folder = await makeAgentFolder(deps, request);
    const promptFile = join(folder, 'prompt.md');
    await writeFile(promptFile, continuation, { mode: 0o600 });
    const state = join(deps.places.agents, 'state');
    await mkdir(state, { recursive: true, mode: 0o700 });
    const { spawnUser: user } = deps;
    if (user) {
      // The folder stays ours: in one of theirs, a link could lead what is written here elsewhere.
      await chmod(folder, 0o711);
      for (const theirs of [promptFile, state]) await lchown(theirs, user.uid, user.gid);
    }
    const worktree = session.worktree ?? folder;
    const values = { promptFile, prompt: continuation, worktree, sessionId: session.id };
    const command = policy.command.map((part) => fill(part, values));
    // What it saves is in this worker's data folder.
    const env = { DEFIB_PROMPT_FILE: promptFile, DEFIB_STATE_DIR: state };
    await launch(deps, request, { args: ['--', ...command], cwd: worktree, env });
  };
}
