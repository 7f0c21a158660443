import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeCheck } from '../../src/cli/doctor/machine.ts';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { clockCheck } from '../../src/cli/doctor/server.ts';
import { pickPort } from '../../src/db/embedded/port.ts';
import { databaseUrl } from '../setup/database.ts';
import { defib, operatorOf } from '../setup/defib.ts';
import { canStartRedis, flushableRedis } from '../setup/redis.ts';
import { startService, type TestService } from '../setup/service.ts';

let service: TestService;
let folder: string;
beforeAll(async () => {
  service = await startService('postgres');
  folder = await mkdtemp(join(tmpdir(), 'defib-doctor-'));
});
afterAll(async () => {
  await service.stop();
  await rm(folder, { recursive: true });
});

/** What it finds with this environment beside the operator's. */
async function examine(env: Record<string, string> = {}) {
  const options = { env: { ...operatorOf(service), ...env }, cwd: folder };
  const { code, stdout } = await defib(['doctor', '--json'], options);
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
  expect(code).toBe(ok ? 0 : 1);
  return {
    ok,
    find: (check: string) => findings.find((finding) => finding.check === check),
    wrong: findings.filter(({ state }) => state === 'wrong').map(({ check }) => check),
  };
}

/** A program of this name that prints this, first in PATH. */
async function pathWith(name: string, output: string): Promise<string> {
  const bin = await mkdtemp(join(folder, 'bin-'));
  await writeFile(join(bin, name), `#!/bin/sh\necho '${output}'\n`);
  await chmod(join(bin, name), 0o755);
  return `${bin}:${process.env['PATH']}`;
}

describe('defib doctor', () => {
  it('finds nothing where all is well', async () => {
    const { ok, find } = await examine({ DATABASE_URL: service.database.url });
    expect(ok).toBe(true);
    for (const check of ['node', 'git', 'settings', 'database', 'server', 'clock', 'ready']) {
      expect(find(check), check).toMatchObject({ state: 'ok' });
    }
    expect(find('token')).toMatchObject({ detail: 'valid, of an operator' });
  });

  it('tells people what is wrong and how to fix it', async () => {
    const env = { ...operatorOf(service), DEFIB_TOKEN: 'nonsense' };
    const { code, stdout } = await defib(['doctor'], { env, cwd: folder });
    expect(stdout).toMatch(/^WRONG {4}token: .*\n {9}fix it: Set DEFIB_TOKEN/m);
    expect(stdout).toContain('1 of 10 checks');
    expect(code).toBe(1);
  });

  it('finds a git that is too old, or none', async () => {
    const old = await examine({ PATH: await pathWith('git', 'git version 2.31.9') });
    expect(old.find('git')).toMatchObject({ state: 'wrong', fix: expect.stringMatching(/2\.32/) });
    const none = await examine({ PATH: folder });
    expect(none.find('git')).toMatchObject({ state: 'wrong', detail: 'it cannot be run' });
    const newer = await examine({ PATH: await pathWith('git', 'git version 3.0.1 (Apple Git-1)') });
    expect(newer.find('git')).toMatchObject({ state: 'ok', detail: '3.0.1' });
  });

  it('finds a Node that is too old', async () => {
    expect(await nodeCheck('20.19.0')).toMatchObject({ state: 'wrong' });
    expect(await nodeCheck('22.17.1')).toMatchObject({ state: 'wrong' });
    expect(await nodeCheck('22.18.0')).toMatchObject({ state: 'ok' });
  });

  it('finds a clock that is off', () => {
    const now = Date.parse('2026-11-21T10:00:00.700Z');
    const check = (date: string) => clockCheck(date, now - 100, now + 100);
    expect(check('Sat, 21 Nov 2026 10:00:00 GMT').state).toBe('ok');
    expect(check('Sat, 21 Nov 2026 09:59:30 GMT')).toMatchObject({
      state: 'wrong',
      detail: "this clock is 30.2 s ahead of the server's",
    });
    expect(check('Sat, 21 Nov 2026 10:00:30 GMT').detail).toContain('29.8 s behind');
  });

  it('finds mistakes in the settings', async () => {
    const { wrong, find } = await examine({ PORT: 'abc' });
    expect(wrong).toEqual(['settings']);
    expect(find('settings')?.detail).toContain('PORT');
  });

  it('finds credentials that others can read', async () => {
    const dataDir = join(folder, 'data');
    await mkdir(dataDir);
    const file = join(dataDir, 'credentials.json');
    await writeFile(file, '{}', { mode: 0o600 });
    expect((await examine({ DEFIB_DATA_DIR: dataDir })).ok).toBe(true);
    await chmod(file, 0o644);
    const { wrong, find } = await examine({ DEFIB_DATA_DIR: dataDir });
    expect(wrong).toEqual(['credentials']);
    expect(find('credentials')?.fix).toBe(`chmod 600 '${file}'`);
  });

  it('finds worktree roots that are not there', async () => {
    const [root, file, missing] = ['root', 'file', 'missing'].map((name) => join(folder, name));
    await mkdir(root!);
    await writeFile(file!, '');
    const env = { DEFIB_WORKTREE_ROOTS: [root, file, missing].join(':') };
    const { wrong, find } = await examine(env);
    expect(find(`worktree root ${root}`)).toMatchObject({ state: 'ok' });
    expect(find(`worktree root ${file}`)).toMatchObject({ detail: 'it is no folder' });
    expect(find(`worktree root ${missing}`)?.fix).toContain('mkdir -p');
    expect(wrong).toHaveLength(2);
  });

  // Root may read and write everything.
  it.skipIf(process.getuid?.() === 0)('finds a worktree root that is closed to it', async () => {
    const root = join(folder, 'closed');
    await mkdir(root, { mode: 0o500 });
    const { find } = await examine({ DEFIB_WORKTREE_ROOTS: root });
    expect(find(`worktree root ${root}`)?.detail).toContain('may not read and write it');
  });

  it('finds a database that is away, missing, or not migrated', async () => {
    const port = await pickPort(undefined);
    const away = await examine({ DATABASE_URL: `postgres://u:secret-word@127.0.0.1:${port}/d` });
    expect(away.wrong).toEqual(['database']);
    expect(JSON.stringify(away.find('database'))).not.toContain('secret-word');
    const missing = await examine({ DATABASE_URL: databaseUrl(service.database.url, 'nowhere') });
    expect(missing.find('database')?.detail).toContain('has no database "nowhere"');
    const empty = await examine({ DATABASE_URL: databaseUrl(service.database.url, 'postgres') });
    expect(empty.find('database')).toMatchObject({
      detail: expect.stringContaining('not migrated'),
      fix: expect.stringContaining('defib release'),
    });
  });

  it.skipIf(!canStartRedis())('finds a Redis that would lose jobs', async () => {
    const redis = await flushableRedis();
    try {
      const env = { DATABASE_URL: service.database.url, REDIS_URL: redis.url };
      expect((await examine(env)).find('redis')).toMatchObject({ state: 'ok' });
      const admin = new Redis(redis.url);
      await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
      admin.disconnect();
      expect((await examine(env)).find('redis')).toMatchObject({
        state: 'wrong',
        detail: expect.stringContaining('allkeys-lru'),
        fix: expect.stringContaining('CONFIG SET maxmemory-policy noeviction'),
      });
    } finally {
      await redis.stop();
    }
  });

  it('finds that the server is away', async () => {
    const DEFIB_URL = `http://127.0.0.1:${await pickPort(undefined)}`;
    const { wrong, find } = await examine({ DEFIB_URL });
    expect(wrong).toEqual(['server']);
    expect(find('server')?.detail).toContain('ECONNREFUSED');
    expect(find('token')?.state).toBe('skipped');
  });

  it('finds that something else answers there', async () => {
    const other = createServer((_, response) => response.writeHead(404).end()).listen(0);
    await once(other, 'listening');
    const DEFIB_URL = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    expect((await examine({ DEFIB_URL })).find('server')?.detail).toContain('not Defib');
    other.close();
  });

  it('takes the token of an agent for valid', async () => {
    const { ok, find } = await examine({ DEFIB_TOKEN: await service.agentToken('builder') });
    expect(ok).toBe(true);
    expect(find('token')?.detail).toBe('valid, but not of an operator');
  });
});
