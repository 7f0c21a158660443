import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError, loadConfig } from '../src/config.ts';
import { createTestDatabase, type TestDatabase } from './setup/database.ts';
import { startProcess } from './setup/processes.ts';
import { caller, serviceEnv } from './setup/service.ts';

const environOf = (pid: number) => readFileSync(`/proc/${pid}/environ`, 'utf8');
const OWN = { GITHUB_TOKEN: 'only-for-the-worker', PGPASSWORD: 'only-for-the-database' };

let folder: string;
let database: TestDatabase;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'defib-environment-'));
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});
const file = (name: string, content: string) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

describe.skipIf(process.platform !== 'linux')('the environment of a process', () => {
  it.each(['main', 'web', 'worker'] as const)('of %s shows no secret in /proc', async (entry) => {
    const env: Record<string, string> = { ...serviceEnv('postgres', database.url), ...OWN };
    const started = await startProcess(entry, env);
    try {
      const shown = environOf(started.pid);
      expect(shown).toContain('DEFIB_QUEUE_PREFIX=');
      for (const name of ['DATABASE_URL', 'DEFIB_OPERATOR_TOKEN', ...Object.keys(OWN)]) {
        expect(shown, name).not.toContain(env[name]);
      }
      if (started.url === '') return;
      const { status } = await caller(started.url, env['DEFIB_OPERATOR_TOKEN']!)(
        'GET',
        '/api/agents',
      );
      expect(status).toBe(200);
    } finally {
      await started.kill();
    }
  });

  it('has none where they are in files', async () => {
    const { DATABASE_URL, DEFIB_OPERATOR_TOKEN, ...env } = serviceEnv('postgres', database.url);
    const started = await startProcess('web', {
      ...env,
      DATABASE_URL_FILE: file('url', `${DATABASE_URL}\n`),
      DEFIB_OPERATOR_TOKEN_FILE: file('token', `${DEFIB_OPERATOR_TOKEN}\r\n`),
    });
    try {
      const { status } = await caller(started.url, DEFIB_OPERATOR_TOKEN!)('GET', '/api/agents');
      expect(status).toBe(200);
    } finally {
      await started.kill();
    }
  });

  it('is told of where the process above shows it', async () => {
    const entry = join(import.meta.dirname, '..', 'src', 'environment.ts');
    const script = `import { takeEnvironment } from ${JSON.stringify(entry)};
      console.log(JSON.stringify(takeEnvironment().exposed), process.env.GITHUB_TOKEN);`;
    const node = `"$0" --input-type=module -e "$1"; true`;
    const child = spawn('sh', ['-c', node, process.execPath, script], {
      env: { PATH: process.env['PATH'], ...OWN },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => void (output += chunk.toString()));
    await once(child, 'close');
    expect(output).toMatch(
      /GITHUB_TOKEN, PGPASSWORD: in the process that started this one"\] undefined/,
    );
  });
});

describe('a setting in a file', () => {
  const problem = (env: Record<string, string>) => {
    try {
      loadConfig(env);
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as ConfigError).message;
    }
    throw new Error('accepted');
  };

  it('is read, also through a link, without the line end', () => {
    symlinkSync(file('real', 'a token of GitHub\n'), join(folder, 'link'));
    const { github } = loadConfig({ GITHUB_TOKEN_FILE: join(folder, 'link') });
    expect(github.auth).toEqual({ kind: 'token', token: 'a token of GitHub' });
  });

  it.each([
    ['is not there', () => join(folder, 'none'), /GITHUB_TOKEN_FILE cannot be read: ENOENT/],
    ['is a folder', () => folder, /GITHUB_TOKEN_FILE must be a regular file/],
    ['is empty', () => file('empty', '\n'), /GITHUB_TOKEN_FILE is empty/],
    ['is endless', () => '/dev/zero', /GITHUB_TOKEN_FILE must be a regular file/],
    ['is too large', () => file('large', 'x'.repeat(70_000)), /must have at most 65536 bytes/],
  ])('that %s is a mistake', (_what, path, message) => {
    expect(problem({ GITHUB_TOKEN_FILE: path() })).toMatch(message);
  });

  it('and in the environment too is a mistake', () => {
    const env = { GITHUB_TOKEN: 'one', GITHUB_TOKEN_FILE: file('other', 'two') };
    expect(problem(env)).toMatch(/GITHUB_TOKEN and GITHUB_TOKEN_FILE are both set/);
  });
});
