import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { noteSpawnFailure } from '../../db/queries/session-resume.ts';
import { AppError } from '../../errors.ts';
import type { SpawnerDeps } from './create.ts';
import { agentEnvironment } from './environment.ts';
import type { SpawnRequest } from './spawner.ts';

/** The program `defib`: TypeScript in the repository, JavaScript in the package. */
const DEFIB = fileURLToPath(new URL(`../../cli/main${extname(import.meta.url)}`, import.meta.url));

/** What a session that was started here has for itself: what it prints, and what it begins with. */
export async function makeAgentFolder(
  { places }: SpawnerDeps,
  { session }: SpawnRequest,
): Promise<string> {
  const folder = join(places.agents, session.id);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

export type Launch = {
  /** Of `defib run --session <id>`, from there on. */
  args: string[];
  cwd: string;
  env: Record<string, string>;
};

/**
 * Starts `defib run` for a session on this host, in a process group of its own: it outlives the worker. Its output
 * goes to `output.log` in the session's folder. So a command goes on as somebody at a keyboard would run it: one
 * code path beats, saves and stops for both.
 *
 * @throws AppError `unavailable`
 */
export async function launch(
  deps: SpawnerDeps,
  request: SpawnRequest,
  { args, cwd, env }: Launch,
): Promise<void> {
  const { session, token } = request;
  const { spawnUser: user } = deps;
  const folder = await makeAgentFolder(deps, request);
  const output = await open(join(folder, 'output.log'), 'a', 0o600);
  try {
    const child = spawn(process.execPath, [DEFIB, 'run', '--session', session.id, ...args], {
      cwd,
      detached: true,
      ...(user && { uid: user.uid, gid: user.gid }),
      stdio: ['ignore', output.fd, output.fd],
      env: agentEnvironment(process.env, {
        DEFIB_URL: deps.url(),
        DEFIB_SESSION_ID: session.id,
        DEFIB_SESSION_TOKEN: token,
        // As this worker names the host.
        DEFIB_HOSTNAME: deps.config.hostname,
        // Where it starts. Agents go by it, and the worker's own is another place.
        PWD: cwd,
        ...(user && { HOME: user.home, USER: user.name, LOGNAME: user.name }),
        // Without a worktree, that of a repository around the data folder is not meant.
        GIT_CEILING_DIRECTORIES: deps.places.agents,
        ...env,
      }),
    });
    watchEarlyEnd(deps, request, child);
    await started(child);
    child.unref();
  } finally {
    await output.close();
  }
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
