import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { captureIn, namesIn, seeded, statusOf } from '../services/git/helpers.ts';
import { defib, startDefib } from '../setup/defib.ts';
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

it('"defib up" leaves the folder alone that it is called in, and is found from any other', async () => {
  const { repo } = seeded();
  const before = statusOf(repo);
  const env = {
    HOME: home,
    XDG_DATA_HOME: join(home, 'data'),
    XDG_CONFIG_HOME: join(home, 'config'),
  };
  await mkdir(env.XDG_DATA_HOME, { mode: 0o755 });
  const line = tether([join(env.XDG_DATA_HOME, 'defib/postgres/postmaster.pid')], join(home, 'no'));
  const service = startDefib(['up'], { cwd: repo, env: { ...env, PORT: '0' } });
  try {
    await until('it listens', () => /listens on (\S+)[^]*curl/.exec(service.stdout()));
    expect(service.stdout()).toContain(join(env.XDG_DATA_HOME, 'defib'));
    expect(readdirSync(repo).sort()).toEqual(['.git', 'a.txt', 'dir', 'run.sh']);
    expect(statusOf(repo)).toBe(before);
    expect(await defib(['agents', 'list'], { env, cwd: '/' })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('builder'),
    });
  } finally {
    await service.stop();
    await line.release();
  }
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
