import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { type Client, createClient, unwrap } from '../client/index.ts';
import { DEFIB } from './frame/self.ts';

export function define(command: Command): void {
  command
    .description(
      'Tells the story on a scratch folder, against the real service: an agent calls, and the\n' +
        'recorded run is read back; an agent runs into its time limit, and another goes on.',
    )
    .action(demo);
}

async function demo(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'defib-demo-'));
  // As root, PostgreSQL runs as another user, who must be able to reach its data.
  await chmod(dataDir, 0o755);
  const service = startService(dataDir);
  try {
    const url = await service.url;
    say(`The service is up on ${url}, on a PostgreSQL of its own.`);
    const file = await readFile(join(dataDir, 'credentials.json'), 'utf8');
    const { operatorToken } = JSON.parse(file) as { operatorToken: string };
    await tell(url, operatorToken);
  } finally {
    await service.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function tell(url: string, operatorToken: string): Promise<void> {
  const agentName = 'builder';
  const operator = createClient({ url, token: operatorToken });
  const { token } = await unwrap(
    operator.POST('/api/tokens', { body: { scope: 'agent', agentName } }),
  );
  say('The operator issues a token for the agent "builder".');
  await heartbeat(createClient({ url, token }), agentName);
  await resume(url, createClient({ url, token }), agentName);
}

async function heartbeat(agent: Client, agentName: string): Promise<void> {
  const answer = await unwrap(
    agent.POST('/api/agents/{agentName}/heartbeat', {
      params: { path: { agentName } },
      body: { turn: 1 },
    }),
  );
  say('The agent calls its heartbeat and is answered with:');
  console.log(answer);
  const run = await unwrap(agent.GET('/api/runs/{id}', { params: { path: { id: answer.runId } } }));
  say('The same pass, recorded as a run:');
  console.log(run);
}

async function resume(url: string, agent: Client, agentName: string): Promise<void> {
  const params = { path: { agentName } };
  const { session, token } = await unwrap(
    agent.POST('/api/agents/{agentName}/sessions', {
      params,
      body: { objective: 'make the build pass', repo: 'acme/app', timeoutSeconds: 2 },
    }),
  );
  await unwrap(
    createClient({ url, token }).POST('/api/sessions/{id}/heartbeat', {
      params: { path: { id: session.id } },
      body: { turn: 12, note: 'the parser is fixed, its tests are left' },
    }),
  );
  say(
    'The agent starts a session with a limit of 2 seconds, beats once, and is never heard again.',
  );

  const resumed = await untilClaimed(() =>
    unwrap(agent.POST('/api/agents/{agentName}/claim', { params })),
  );
  say('The watch found it dead. Another agent claims the work and is given this prompt:');
  console.log(resumed.continuation);

  const ended = await unwrap(
    createClient({ url, token: resumed.token }).POST('/api/sessions/{id}/finish', {
      params: { path: { id: resumed.session.id } },
      body: { outcome: 'completed', summary: 'the build passes' },
    }),
  );
  say('It finishes:');
  console.log(ended);
}

function say(text: string): void {
  console.log(`\n▸ ${text}`);
}

/** Asks until there is something to claim. */
async function untilClaimed<T>(claim: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const claimed = await claim();
    if (claimed) return claimed;
    await pause(200);
  }
}

type DemoService = { url: Promise<string>; stop(): Promise<void> };

/** `defib up` on a port that is free; its address is in the line that says where it listens. */
function startService(dataDir: string): DemoService {
  // Nothing of the caller's settings: the demo must not touch the caller's service.
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [DEFIB, 'up'], {
    env: { PATH, HOME, DEFIB_DATA_DIR: dataDir, PORT: '0', DEFIB_LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let output = '';
  const url = new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const found = /listens on (\S+)/.exec(output)?.[1];
      if (found && output.includes('curl')) resolve(found);
    });
    void exited.then((code) => reject(new Error(`the service ended with code ${code}`)));
  });
  return {
    url,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
