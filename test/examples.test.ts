import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CronJob } from 'kubernetes-models/batch/v1';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { DEFIB } from '../src/cli/frame/self.ts';
import { type Json, startService, type TestService } from './setup/service.ts';
import { until } from './setup/until.ts';
import { workflowErrors } from './setup/workflows.ts';

const EXAMPLES = fileURLToPath(new URL('../examples/', import.meta.url));
const isInstalled = (program: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

let service: TestService;
let token: string;
let folder: string;
beforeAll(async () => {
  service = await startService('postgres');
  token = await service.agentToken('builder');
  folder = await mkdtemp(join(tmpdir(), 'defib-examples-'));
});
afterAll(async () => {
  await service.stop();
  await rm(folder, { recursive: true });
});

type Outcome = { code: number; stdout: string; stderr: string };

/** Runs a program with the environment that the examples ask for, to its end. */
function run(program: string, args: string[], env: Record<string, string> = {}): Promise<Outcome> {
  const variables = { DEFIB_URL: service.url, DEFIB_TOKEN: token, ...env };
  return new Promise((resolve) => {
    execFile(
      program,
      args,
      { cwd: folder, env: { PATH: process.env['PATH'], ...variables }, timeout: 60_000 },
      (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
  });
}

const newest = async (kind: 'runs' | 'sessions'): Promise<Json> =>
  (await service.call('GET', `/api/${kind}?limit=1`)).body.items[0];

describe('curl', () => {
  it('makes a heartbeat', async () => {
    const { code, stdout } = await run(`${EXAMPLES}curl/heartbeat.sh`, ['builder']);
    expect(JSON.parse(stdout)).toMatchObject({ status: 'ok', runId: (await newest('runs')).id });
    expect(code).toBe(0);
  });

  it('fails when the service refuses, and says why', async () => {
    const { code, stderr } = await run(`${EXAMPLES}curl/heartbeat.sh`, ['painter']);
    expect(stderr).toContain('"code":"forbidden"');
    expect(code).toBe(1);
  });

  it('runs a command as a session that beats, and finishes it', async () => {
    const objective = String.raw`say "hello" \ world`;
    const command = ['sh', '-c', 'until [ -e done ]; do sleep 0.1; done'];
    const args = ['builder', objective, ...command];
    const ended = run(`${EXAMPLES}curl/session.sh`, args, { BEAT_SECONDS: '0.1' });
    await until('it beats', async () => (await newest('sessions'))?.status === 'running');
    await writeFile(join(folder, 'done'), '');
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
    expect(await newest('sessions')).toMatchObject({ status: 'completed', objective });
  });

  it('reports a command that fails, and ends with its code', async () => {
    const { code } = await run(`${EXAMPLES}curl/session.sh`, [
      'builder',
      'fail',
      'sh',
      '-c',
      'exit 7',
    ]);
    expect(code).toBe(7);
    expect(await newest('sessions')).toMatchObject({ status: 'failed', objective: 'fail' });
  });
});

describe('Kubernetes', () => {
  const read = async (): Promise<Json> =>
    parse(await readFile(`${EXAMPLES}kubernetes/cronjob.yaml`, 'utf8'));

  it('has a CronJob that the API server would take', async () => {
    const manifest = await read();
    expect(() => new CronJob(manifest).validate()).not.toThrow();
    manifest.spec.concurrencyPolicy = 'Never';
    expect(() => new CronJob(manifest).validate()).toThrow(/concurrencyPolicy/);
  });

  it('has a container that makes a heartbeat', async () => {
    const { spec } = (await read()).spec.jobTemplate.spec.template;
    const [{ command, args, env }] = spec.containers;
    const given = Object.fromEntries(
      env.map(({ name, value = token }: Json) => [
        name,
        name === 'DEFIB_URL' ? service.url : value,
      ]),
    );
    const [program, ...rest] = [...command, ...args];
    const before = await newest('runs');
    const { code, stdout } = await run(program, rest, given);
    expect(JSON.parse(stdout).runId).toBe((await newest('runs')).id);
    expect(JSON.parse(stdout).runId).not.toBe(before.id);
    expect(code).toBe(0);
    const refused = await run(program, rest, { ...given, AGENT: 'painter' });
    expect(refused.code).not.toBe(0);
  });
});

describe('GitHub Actions', () => {
  const name = 'github-actions/agent.yml';
  const read = () => readFile(EXAMPLES + name, 'utf8');

  it("has a workflow that GitHub's own parser takes", async () => {
    expect(workflowErrors(name, await read())).toEqual([]);
    const broken = (await read()).replace('runs-on:', 'run-on:');
    expect(workflowErrors(name, broken)).not.toEqual([]);
  });

  it.skipIf(!isInstalled('jq'))('has steps that are a session, from start to end', async () => {
    const { jobs } = parse(await read()) as Json;
    const scripts: string[] = jobs.work.steps.flatMap((step: Json) => step.run ?? []);
    const [start = '', work = '', end = ''] = scripts;
    const exported = join(folder, 'github-env');
    await writeFile(exported, '');
    const env: Record<string, string> = { AGENT: 'builder', GITHUB_ENV: exported };
    /** Runs a step as the runner does, with what the steps before it exported. */
    const step = async (script: string, more: Record<string, string> = {}) => {
      const lines = (await readFile(exported, 'utf8')).split('\n').filter((line) => line !== '');
      const before = Object.fromEntries(lines.map((line) => line.split(/=(.*)/, 2)));
      return run('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script], {
        ...env,
        ...before,
        ...more,
      });
    };
    const inputs = { OBJECTIVE: 'say "hello"', REPOSITORY: 'acme/app' };
    expect(await step(start, inputs)).toMatchObject({ code: 0 });
    await writeFile(join(folder, 'Makefile'), 'work:\n\tuntil [ -e made ]; do sleep 0.1; done\n');
    const working = step(work, { DEFIB_TOKEN: '' });
    await until('it beats', async () => (await newest('sessions')).status === 'running');
    await writeFile(join(folder, 'made'), '');
    expect((await working).code).toBe(0);
    expect(await step(end, { OUTCOME: 'completed', DEFIB_TOKEN: '' })).toMatchObject({ code: 0 });
    expect(await newest('sessions')).toMatchObject({
      status: 'completed',
      objective: 'say "hello"',
      repo: 'acme/app',
    });
  });
});

describe('Claude Code', () => {
  it('has the settings that defib init writes', async () => {
    const written = await run(process.execPath, [DEFIB, 'init', 'claude-code', '--yes']);
    expect(written, written.stderr).toMatchObject({ code: 0 });
    const settings = await readFile(join(folder, '.claude/settings.json'), 'utf8');
    expect(settings).toBe(await readFile(join(EXAMPLES, 'claude-code/settings.json'), 'utf8'));
  });
});

describe('systemd', () => {
  const units = ['defib.service', 'defib-heartbeat@.service', 'defib-heartbeat@.timer'];

  it.skipIf(!isInstalled('systemd-analyze'))('has units that it takes', async () => {
    const files = units.map((unit) => `${EXAMPLES}systemd/${unit}`);
    const { code, stderr } = await run('systemd-analyze', ['verify', ...files]);
    // Only what it says of ours: this machine may have troubles of its own.
    expect(stderr.split('\n').filter((line) => line.includes('defib'))).toEqual([]);
    expect(code).toBe(0);
  });

  it('has a heartbeat whose command works', async () => {
    const unit = await readFile(`${EXAMPLES}systemd/defib-heartbeat@.service`, 'utf8');
    const [, script = ''] = /^ExecStart=\/bin\/sh -c '(.*)'$/m.exec(unit) ?? [];
    const { code, stdout } = await run('sh', [
      '-c',
      script.replaceAll('$$', () => '$').replaceAll('%i', 'builder'),
    ]);
    expect(JSON.parse(stdout).runId).toBe((await newest('runs')).id);
    expect(code).toBe(0);
  });
});
