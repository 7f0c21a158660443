import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { captureIn, namesIn, put, seeded, statusOf } from '../services/git/helpers.ts';
import { defib } from '../setup/defib.ts';
import { tether } from '../setup/tether.ts';
import { until } from '../setup/until.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

let home: string;
beforeAll(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'defib-home-')));
  // As root, PostgreSQL runs as another user, who must be able to reach its data.
  await chmod(home, 0o755);
});
afterAll(() => rm(home, { recursive: true, force: true, maxRetries: 10 }));

it('"defib up -d" reads .env, leaves its folder alone, is found from any other, and ends by "down"', async () => {
  const { repo } = seeded();
  // DATABASE_URL is that of the project.
  put(repo, '.env', 'PORT=0\nDATABASE_URL=postgres://app@127.0.0.1:1/app\nSECRET_KEY=of-the-app\n');
  const before = statusOf(repo);
  const env = {
    HOME: home,
    XDG_DATA_HOME: join(home, 'data'),
    XDG_CONFIG_HOME: join(home, 'config'),
  };
  const data = join(env.XDG_DATA_HOME, 'defib');
  await mkdir(env.XDG_DATA_HOME, { mode: 0o755 });
  const line = tether([join(data, 'postgres/postmaster.pid')], join(home, 'no'));
  try {
    const up = await defib(['up', '-d'], { cwd: repo, env });
    expect(up).toMatchObject({ code: 0, stdout: '' });
    expect(up.stderr).toContain(`settings in ${repo}/.env: taken: PORT; not taken`);
    expect(up.stderr).toContain('DATABASE_URL');
    expect(up.stderr).not.toMatch(/SECRET_KEY|app@/);
    const url = /is up on (\S+)/.exec(up.stderr)?.[1] ?? '';
    expect(readdirSync(repo).sort()).toEqual(['.env', '.git', 'a.txt', 'dir', 'run.sh']);
    expect(statusOf(repo)).toBe(before);
    expect(statSync(join(data, 'service.log')).mode & 0o777).toBe(0o600);
    const { operatorToken } = JSON.parse(readFileSync(join(data, 'credentials.json'), 'utf8'));
    expect(readFileSync(join(data, 'service.log'), 'utf8')).not.toContain(operatorToken);
    const again = await defib(['up', '-d'], { cwd: repo, env });
    expect(again.stderr).toContain(`was up already on ${url}`);
    expect(await defib(['status'], { env, cwd: '/' })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(new RegExp(`^Service {2}${url}\nWorkers {2}alive on`)),
    });
    expect(await defib(['down'], { env })).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('has stopped'),
    });
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
    expect((await defib(['down'], { env })).stderr).toContain('No service of yours');
  } finally {
    await defib(['down'], { env });
    await line.release();
  }
});

it('"defib up -d" tells why the service did not start', async () => {
  const env = { HOME: home, XDG_DATA_HOME: join(home, 'bad'), PORT: 'http' };
  const { code, stderr } = await defib(['up', '-d'], { env });
  expect(stderr).toMatch(/^defib: not_started: .* ended with 1\.\n[^]*PORT must be a whole number/);
  expect(stderr).toContain(join(home, 'bad/defib/service.log'));
  expect(code).toBe(1);
});

it('a capture takes nothing of a service that keeps its data in the repository', async () => {
  const box = seeded();
  await chmod(box.root, 0o755);
  const before = statusOf(box.repo);
  const line = tether([join(box.repo, '.defib/postgres/postmaster.pid')], join(home, 'no'));
  const child = spawn(process.execPath, [MAIN], {
    cwd: box.repo,
    env: { PATH: process.env['PATH'], HOME: home, PORT: '0', DEFIB_LOG_LEVEL: 'silent' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => void (output += chunk.toString()));
  const exited = once(child, 'exit');
  try {
    await until('it listens', () => /listens on/.exec(output));
    expect(readdirSync(join(box.repo, '.defib'))).toContain('credentials.json');
    expect(statusOf(box.repo)).toBe(before);
    const { commit, notCaptured } = await captureIn(box);
    expect(namesIn(box, commit)).toEqual(['a.txt', 'dir/b.txt', 'run.sh']);
    expect(notCaptured).toEqual([
      { path: '.defib/', reason: 'ignored: a data directory of Defib' },
    ]);
  } finally {
    child.kill('SIGTERM');
    await exited;
    await line.release();
  }
});
