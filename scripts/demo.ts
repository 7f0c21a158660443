import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * `npm run demo`: the story on a scratch folder, against the real service: it starts, an agent
 * calls, and the recorded run is read back.
 */
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
    return (await response.json()) as T;
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
