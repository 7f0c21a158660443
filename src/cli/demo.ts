import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type Client, createClient, unwrap } from '../client/index.ts';
import { agentCommand, runAgent } from './demo/agent-process.ts';
import { makeProject, type Project } from './demo/project.ts';
import { type DemoService, startService } from './demo/service.ts';
import { waitFor } from './demo/wait.ts';
import { CliError } from './frame/errors.ts';

const AGENT = 'builder';
/** The time limit of each attempt, in seconds. The first runs into it; the second must not, on a busy machine. */
const LIMIT_SECONDS = 6;

export function define(command: Command): void {
  command
    .description(
      'Tells the story on a scratch repository, against the real service: an agent works, reaches its\n' +
        'time limit with uncommitted changes, is checkpointed, and resumed by another one that finishes.',
    )
    .action(demo);
}

async function demo(): Promise<void> {
  const asked = askedToEnd();
  const folder = await mkdtemp(join(tmpdir(), 'defib-demo-'));
  // As root, PostgreSQL runs as another user, who must be able to reach its data.
  await chmod(folder, 0o755);
  const dataDir = join(folder, 'data');
  let service: DemoService | undefined;
  const play = async (): Promise<void> => {
    const project = await makeProject(join(folder, 'work'));
    asked.signal.throwIfAborted();
    service = startService({
      DEFIB_DATA_DIR: dataDir,
      DEFIB_WORKTREE_ROOTS: join(folder, 'work'),
      DEFIB_CHECKPOINT_REMOTE: 'origin',
    });
    const url = await service.url;
    say(`The service is up on ${url}, on a PostgreSQL of its own.`);
    const file = await readFile(join(dataDir, 'credentials.json'), 'utf8');
    const { operatorToken } = JSON.parse(file) as { operatorToken: string };
    await tell({ url, operator: createClient({ url, token: operatorToken }), project });
  };
  try {
    await Promise.race([play(), asked.promise]);
  } finally {
    await service?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Rejects when somebody asks it to end: then what it has started is ended first. */
function askedToEnd(): { promise: Promise<never>; signal: AbortSignal } {
  const asked = new AbortController();
  const { promise, reject } = Promise.withResolvers<never>();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => asked.abort(new CliError('stopped', `${name}: the demo is over.`)));
  }
  asked.signal.addEventListener('abort', () => reject(asked.signal.reason as Error));
  promise.catch(() => undefined);
  return { promise, signal: asked.signal };
}

type Scene = { url: string; operator: Client; project: Project };

async function tell(scene: Scene): Promise<void> {
  const agent = await introduce(scene);
  await heartbeat(agent);
  const first = await workUntilTheLimit(scene, agent);
  const second = await resumed(scene, first.id);
  await finished(scene, second);
}

async function introduce({ operator, url }: Scene): Promise<Client> {
  await unwrap(
    operator.PUT('/api/agents/{agentName}', {
      params: { path: { agentName: AGENT } },
      body: {
        policy: {
          resumeBackoffSeconds: 0,
          spawner: { type: 'command', command: agentCommand('{promptFile}') },
        },
      },
    }),
  );
  const { token } = await unwrap(
    operator.POST('/api/tokens', { body: { scope: 'agent', agentName: AGENT } }),
  );
  say(`The operator tells how work of the agent "${AGENT}" is resumed, and issues its token.`);
  return createClient({ url, token });
}

async function heartbeat(agent: Client): Promise<void> {
  const params = { path: { agentName: AGENT } };
  const answer = await unwrap(agent.POST('/api/agents/{agentName}/heartbeat', { params }));
  say('The agent calls its heartbeat, which is recorded and answered:');
  console.log(answer);
}

async function workUntilTheLimit(scene: Scene, agent: Client): Promise<{ id: string }> {
  const { project, url } = scene;
  const { session, token } = await unwrap(
    agent.POST('/api/agents/{agentName}/sessions', {
      params: { path: { agentName: AGENT } },
      body: {
        objective: 'add a greeting in two languages',
        worktree: project.worktree,
        timeoutSeconds: LIMIT_SECONDS,
      },
    }),
  );
  say(
    `It starts a session with a limit of ${LIMIT_SECONDS} s, edits, and saves its reasoning once.`,
  );
  const process = runAgent({ url, sessionId: session.id, token, worktree: project.worktree });
  try {
    await ended(scene, session.id);
  } finally {
    process.kill('SIGKILL');
  }
  say('The limit passed in the middle of an edit, and its process was killed. What it left:');
  console.log(await project.git('status', '--short'));
  return session;
}

const ended = (scene: Scene, id: string) =>
  waitFor('the session reaches its limit', async () => {
    const session = await read(scene, id);
    return session.status === 'timed_out' ? session : undefined;
  });

async function read({ operator }: Scene, id: string) {
  return await unwrap(operator.GET('/api/sessions/{id}', { params: { path: { id } } }));
}

async function resumed(scene: Scene, id: string): Promise<string> {
  const successor = await waitFor('a successor is started', async () => {
    const { attempts } = await read(scene, id);
    return attempts.find((attempt) => attempt.attempt === 2 && attempt.startedAt !== null);
  });
  const { project } = scene;
  say('The timeout watch found it and saved what was there, on a branch beside the agent’s own:');
  console.log(
    await project.git(
      'log',
      '--oneline',
      '--stat',
      '-1',
      '-m',
      '--first-parent',
      successor.checkpointBranch.replace(successor.id, id),
    ),
  );
  say(`A new agent was started in ${successor.worktree} with this prompt:`);
  console.log(
    await unwrap(
      scene.operator.GET('/api/sessions/{id}/continuation', {
        params: { path: { id: successor.id } },
        parseAs: 'text',
      }),
    ),
  );
  return successor.id;
}

async function finished(scene: Scene, id: string): Promise<void> {
  const { project } = scene;
  const session = await waitFor('the second agent finishes', async () => {
    const now = await read(scene, id);
    return now.endedAt === null ? undefined : now;
  });
  say(`It finished (${session.status}: ${session.summary}). The tree that it pushed:`);
  await project.git('fetch', '-q', 'origin');
  console.log(await project.git('log', '--oneline', '--stat', 'origin/greeting', '-1'));
  await waitFor('the checkpoint branches are pruned', async () =>
    (await project.checkpointBranches()).length === 0 ? true : undefined,
  );
  say('After that success no checkpoint branch is left, neither here nor on the remote.');
  say('The first worktree is as its agent left it:');
  console.log(await project.git('status', '--short'));
}

function say(text: string): void {
  console.log(`\n▸ ${text}`);
}
