import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { time } from '../../src/cli/frame/output.ts';
import { ago } from '../../src/cli/frame/relative-time.ts';
import { shortIds } from '../../src/cli/frame/short-id.ts';
import { DEFIB, defib, operatorOf, startDefib } from '../setup/defib.ts';
import { startService, type TestService } from '../setup/service.ts';

let service: TestService;
let folder: string;
beforeAll(async () => {
  service = await startService('postgres', { worker: false });
  folder = await mkdtemp(join(tmpdir(), 'defib-glance-'));
});
afterAll(async () => {
  await service.stop();
  await rm(folder, { recursive: true, force: true });
});

const db = () => service.started.deps.db;
const agents = async (): Promise<string[]> =>
  (await service.call('GET', '/api/agents')).body.items.map((one: { name: string }) => one.name);

describe('defib run', () => {
  const env = () => ({
    ...operatorOf(service),
    HOME: folder,
    DEFIB_STATE_DIR: join(folder, 'state'),
  });

  it('says that "--" is missing', async () => {
    const { code, stderr } = await defib(['run', 'claude', '-p', 'x'], { env: env() });
    expect(stderr).toMatch(/unknown option '-p'\n"--" is missing before the command: .* -- claude/);
    expect(code).toBe(2);
  });

  it('leaves neither an agent nor a session of a program that is not there', async () => {
    const missing = await defib(['run', '--', 'cluade', '-p', 'x'], { env: env(), cwd: folder });
    expect(missing).toMatchObject({
      code: 127,
      stderr: expect.stringContaining('no such program'),
    });
    await writeFile(join(folder, 'plain'), '#!/bin/sh\n');
    const plain = await defib(['run', '--', './plain'], { env: env(), cwd: folder });
    expect(plain).toMatchObject({ code: 126, stderr: expect.stringContaining('cannot be run') });
    expect(await agents()).not.toContain('cluade');
    expect((await service.call('GET', '/api/sessions')).body.items).toEqual([]);
  });

  it('names the agent after the token, and a refusal names the agent that it is for', async () => {
    const DEFIB_TOKEN = await service.agentToken('builder');
    const own = { ...env(), DEFIB_TOKEN };
    const done = await defib(['run', '--', 'true'], { env: own, cwd: folder });
    expect(done).toMatchObject({ code: 0, stderr: expect.stringContaining(' of builder') });
    const other = await defib(['run', '--agent', 'other', '--', 'true'], { env: own, cwd: folder });
    expect(other.stderr).toContain('This token is for the agent "builder"');
    expect(other.stderr).toContain('--agent builder');
    expect(other.stderr).not.toContain('operator');
  });
});

describe('defib status and doctor', () => {
  it('say who works, what waits, what needs a person, and what to type', async () => {
    const path = '/api/agents/builder/sessions';
    const ids: string[] = [];
    for (const objective of ['wait for somebody', 'be looked at']) {
      const { body } = await service.call('POST', path, { body: { objective } });
      ids.push(body.session.id);
    }
    await sql`
      UPDATE sessions SET status = 'pending', start_deadline_at = NULL,
        ready_at = now() - interval '10 minutes' WHERE id = ${ids[0]}`.execute(db());
    await sql`
      UPDATE sessions SET status = 'failed', end_reason = 'spawn_failed', ended_at = now(),
        needs_attention = true WHERE id = ${ids[1]}`.execute(db());
    const env = operatorOf(service);
    const { code, stdout } = await defib(['status'], { env });
    expect(code).toBe(0);
    expect(stdout).toContain('Workers  none alive');
    expect(stdout).toMatch(
      /Waiting \(1\)\n[0-9a-f-]{13,} +builder +since 10 min +for claim +defib resume [0-9a-f-]{13}/,
    );
    expect(stdout).toMatch(
      /Needs attention \(1\)\n[0-9a-f-]{13,} +builder +defib retry .*spawn_failed/,
    );
    const doctor = await defib(['doctor'], { env, cwd: folder });
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toMatch(/WRONG {4}workers: none is alive/);
    expect(doctor.stdout).toMatch(/WRONG {4}waiting sessions: 1 wait.*10 min ago\n.*defib resume/);
    expect(doctor.stdout).toMatch(/WRONG {4}needs attention: 1 sessions/);
  });
});

describe('defib login', () => {
  it('checks the token, keeps it for its owner, and logout forgets it', async () => {
    const XDG_CONFIG_HOME = join(folder, 'config');
    const file = join(XDG_CONFIG_HOME, 'defib/credentials.json');
    const wrong = await defib(['login', '--url', service.url, '--token', 'nonsense'], {
      env: { XDG_CONFIG_HOME },
    });
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('unauthorized') });
    expect(await stat(file).catch(() => null)).toBeNull();
    const token = await service.agentToken('builder');
    const asked = startDefib(['login', '--url', `${service.url}/`], {
      env: { XDG_CONFIG_HOME },
      input: `${token}\n`,
    });
    const done = await asked.exited;
    expect(done).toMatchObject({ code: 0, stdout: '' });
    expect(done.stderr).toContain('as the agent "builder"');
    expect(done.stderr).not.toContain(token);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(file))).mode & 0o777).toBe(0o700);
    expect(JSON.parse(await readFile(file, 'utf8')).services).toEqual({ [service.url]: { token } });
    expect((await defib(['logs'], { env: { XDG_CONFIG_HOME } })).code).toBe(0);
    const out = await defib(['logout'], { env: { XDG_CONFIG_HOME } });
    expect(out).toMatchObject({ code: 0, stderr: expect.stringContaining(service.url) });
    expect(await stat(file).catch(() => null)).toBeNull();
    expect((await defib(['logout'], { env: { XDG_CONFIG_HOME } })).code).toBe(1);
  });
});

it('"npm run defib" works in the folder that it is called in', async () => {
  const data = join(folder, '.defib');
  await mkdir(data);
  const operatorToken = service.env['DEFIB_OPERATOR_TOKEN'];
  await writeFile(join(data, 'credentials.json'), JSON.stringify({ operatorToken }));
  const env = { DEFIB_URL: service.url, INIT_CWD: folder, npm_lifecycle_event: 'defib' };
  const cwd = join(dirname(DEFIB), '../..');
  const { code, stdout, stderr } = await defib(['token', 'issue', '--agent', 'x'], { env, cwd });
  expect({ code, lines: stdout.trim().split('\n').length }).toEqual({ code: 0, lines: 1 });
  expect(stderr).toContain('npm run -s defib');
});

describe('the beginning of an id', () => {
  it('stands for it in every command while one alone begins so', async () => {
    const token = await service.agentToken('twin');
    const run = await service.call('POST', '/api/agents/twin/heartbeat?', {
      token,
      headers: { Prefer: 'respond-async' },
    });
    const ids: string[] = [];
    for (const objective of ['one of two', 'the other']) {
      const { body } = await service.call('POST', '/api/agents/twin/sessions', {
        body: { objective },
      });
      ids.push(body.session.id);
    }
    const [id = ''] = ids;
    const env = operatorOf(service);
    const short = id.slice(0, 24);
    const shown = await defib(['show', short], { env });
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining(id) });
    const runId = run.body.runId as string;
    expect((await defib(['show', runId.slice(0, 24)], { env })).stdout).toContain('heartbeat');
    const common = sharedStart(ids);
    const ambiguous = await defib(['show', common], { env });
    expect(ambiguous.code).toBe(1);
    expect(ambiguous.stderr).toContain(`ambiguous: More than one session begins with "${common}"`);
    expect(ambiguous.stderr).toMatch(
      new RegExp(`\\n {2}${id} {2}twin {2}starting {2}one of two\\n`),
    );
    expect((await defib(['show', 'ffff'], { env })).stderr).toContain('not_found');
    expect((await defib(['sessions', '--root', short, '--json'], { env })).stdout).toContain(id);
    expect((await defib(['logs', '--session', 'zz'], { env })).stderr).toContain('is no id of');
  });

  it('is as long as a listing needs', () => {
    const [a, b] = ['01a1fd5d-95f0-757e-89b6-8734a906eabc', '01a1fd5d-95f0-7600-89b6-8734a906eabc'];
    expect(shortIds([a, a])(a)).toBe('01a1fd5d-95f0');
    expect(shortIds([a, b])(b)).toBe('01a1fd5d-95f0-76');
    const now = Date.parse('2026-11-21T10:00:00Z');
    expect(ago('2026-11-21T09:57:00Z', now)).toBe('3 min ago');
    expect(ago('2026-11-21T12:00:01Z', now)).toBe('in 2 h');
    expect(time('2026-11-20T10:00:00Z', true)).toMatch(/^\d+ d ago$|^in \d+/);
  });
});

/** The longest beginning that all have in common, without the dash that may end it. */
function sharedStart([first = '', ...others]: string[]): string {
  let length = first.length;
  while (others.some((other) => !other.startsWith(first.slice(0, length)))) length -= 1;
  return first.slice(0, length).replace(/-$/, '');
}
