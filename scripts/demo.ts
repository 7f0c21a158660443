import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/**
 * `npm run demo`: the story on a scratch folder, against the real service: it starts, an agent
 * calls, and the recorded run is read back; an agent runs into its time limit, and another goes on.
 */
type Started = { session: { id: string }; token: string };
type Claimed = Started & { continuation: string };

const dataDir = await mkdtemp(join(tmpdir(), 'defib-demo-'));
// As root, PostgreSQL runs as another user, who must be able to reach its data.
await chmod(dataDir, 0o755);
const service = spawn('node', [join(import.meta.dirname, '../src/main.ts')], {
  env: { ...process.env, DEFIB_DATA_DIR: dataDir, PORT: '0', DEFIB_LOG_LEVEL: 'warn' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const stopped = new Promise((resolve) => service.once('exit', resolve));

try {
  const url = await address();
  const { operatorToken } = JSON.parse(await readFile(join(dataDir, 'credentials.json'), 'utf8'));
  const call = async <T>(
    method: string,
    path: string,
    token: string,
    body?: object,
  ): Promise<T> => {
    const response = await fetch(url + path, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(body && { 'Content-Type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    return (response.status === 204 ? undefined : await response.json()) as T;
  };
  say(`The service is up on ${url}, on a PostgreSQL of its own.`);

  const { token } = await call<{ token: string }>('POST', '/api/tokens', operatorToken, {
    scope: 'agent',
    agentName: 'builder',
  });
  say('The operator issues a token for the agent "builder".');

  const answer = await call<{ runId: string }>('POST', '/api/agents/builder/heartbeat', token, {
    turn: 1,
  });
  say('The agent calls its heartbeat and is answered with:');
  console.log(answer);

  const run = await call('GET', `/api/runs/${answer.runId}`, token);
  say('The same pass, recorded as a run:');
  console.log(run);

  const { session, token: sessionToken } = await call<Started>(
    'POST',
    '/api/agents/builder/sessions',
    token,
    { objective: 'make the build pass', repo: 'acme/app', timeoutSeconds: 2 },
  );
  await call('POST', `/api/sessions/${session.id}/heartbeat`, sessionToken, {
    turn: 12,
    note: 'the parser is fixed, its tests are left',
  });
  say(
    'The agent starts a session with a limit of 2 seconds, beats once, and is never heard again.',
  );

  const resumed = await untilClaimed(() =>
    call<Claimed | undefined>('POST', '/api/agents/builder/claim', token),
  );
  say('The watch found it dead. Another agent claims the work and is given this prompt:');
  console.log(resumed.continuation);

  const ended = await call<object>(
    'POST',
    `/api/sessions/${resumed.session.id}/finish`,
    resumed.token,
    { outcome: 'completed', summary: 'the build passes' },
  );
  say('It finishes:');
  console.log(ended);
} finally {
  service.kill('SIGTERM');
  await stopped;
  await rm(dataDir, { recursive: true, force: true });
}

function say(text: string): void {
  console.log(`\n▸ ${text}`);
}

/** Waits for the line in which the service says where it listens. */
function address(): Promise<string> {
  let output = '';
  return new Promise((resolve, reject) => {
    service.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const url = /listens on (\S+)/.exec(output)?.[1];
      if (url && output.includes('curl')) resolve(url);
    });
    service.once('exit', (code) => reject(new Error(`the service ended with code ${code}`)));
  });
}

/** Asks until there is something to claim. */
async function untilClaimed(claim: () => Promise<Claimed | undefined>): Promise<Claimed> {
  for (;;) {
    const claimed = await claim();
    if (claimed) return claimed;
    await setTimeout(200);
  }
}
