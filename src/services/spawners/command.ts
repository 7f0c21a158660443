import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lchown, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { noteSpawnFailure } from '../../db/queries/session-resume.ts';
import { AppError } from '../../errors.ts';
import type { SpawnerDeps } from './create.ts';
import { agentEnvironment } from './environment.ts';
import { fill, placeholderProblem } from './placeholders.ts';
import type { SpawnRequest, Spawners } from './spawner.ts';
import { supervised } from './supervisor.ts';

/**
 * Starts a program on this host under `defib run`, in a process group of its own: it outlives the worker.
 * Its output goes to a file; it finds its session in `DEFIB_SESSION_ID`, `DEFIB_SESSION_TOKEN`, `DEFIB_URL`
 * and `DEFIB_PROMPT_FILE`. An argument that is
 * `{promptFile}`, `{prompt}`, `{worktree}` or `{sessionId}` is replaced.
 */
export function createCommandSpawner(deps: SpawnerDeps): Spawners['command'] {
  return async (request, policy) => {
    const { session, continuation } = request;
    // Commands of policies that are older than the check are here for the first time.
    const problem = placeholderProblem(policy.command);
    if (problem !== undefined) throw new AppError('invalid', `policy.spawner.command ${problem}`);
    const folder = join(deps.places.agents, session.id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
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
    const [program, ...args] = supervised(session.id, command);
    const output = await open(join(folder, 'output.log'), 'a', 0o600);
    try {
      const child = spawn(program, args, {
        cwd: worktree,
        detached: true,
        ...(user && { uid: user.uid, gid: user.gid }),
        stdio: ['ignore', output.fd, output.fd],
        env: agentEnvironment(process.env, {
          DEFIB_URL: deps.url(),
          DEFIB_SESSION_ID: session.id,
          DEFIB_SESSION_TOKEN: request.token,
          DEFIB_PROMPT_FILE: promptFile,
          // As this worker names the host, and with what it saves in this worker's data folder.
          DEFIB_HOSTNAME: deps.config.hostname,
          DEFIB_STATE_DIR: state,
          // Where it starts. Agents go by it, and the worker's own is another place.
          PWD: worktree,
          ...(user && { HOME: user.home, USER: user.name, LOGNAME: user.name }),
          // Without a worktree, that of a repository around the data folder is not meant.
          GIT_CEILING_DIRECTORIES: deps.places.agents,
        }),
      });
      watchEarlyEnd(deps, request, child);
      await started(child);
      child.unref();
    } finally {
      await output.close();
    }
  };
}

async function started(child: ChildProcess): Promise<void> {
  try {
    await once(child, 'spawn');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'its folder is gone' : code;
    throw new AppError(
      'unavailable',
      `The supervisor of the command could not be started: ${why}. Check the disk and the limits of the worker.`,
      { cause },
    );
  }
}

/**
 * A program that ends before its first heartbeat is known to have failed now, not only at its start
 * deadline. If this worker dies too, the deadline still holds.
 */
function watchEarlyEnd(deps: SpawnerDeps, request: SpawnRequest, child: ChildProcess): void {
  const { session, runId } = request;
  child.once('exit', (code, signal) => {
    const how = signal === null ? `code ${code}` : `signal ${signal}`;
    const error = `The command ended with ${how} before its first heartbeat; see ${join(deps.places.agents, session.id, 'output.log')}.`;
    noteSpawnFailure(deps.db, { id: session.id, runId, error }).then(
      (noted) => noted && deps.log.warn({ sessionId: session.id, error }, 'agent ended early'),
      (cause: unknown) => deps.log.warn({ err: cause }, 'an early end was not noted'),
    );
  });
}
