import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { createFullProgram } from '../../src/cli/frame/program.ts';
import { findToken } from '../../src/cli/frame/service.ts';
import { pickPort } from '../../src/db/embedded/port.ts';
import { noteService } from '../../src/service-file.ts';
import { version } from '../../src/version.ts';
import { defib } from '../setup/defib.ts';
import { startService, type TestService } from '../setup/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService('postgres');
});
afterAll(() => service.stop());

const call = (args: string[], token: string) =>
  defib(args, { env: { DEFIB_URL: service.url, DEFIB_TOKEN: token } });

describe('defib --help', () => {
  it('shows every command, with examples and the environment', async () => {
    const { code, stdout } = await defib(['--help']);
    expect(code).toBe(0);
    for (const { name, summary, hidden } of COMMANDS) {
      if (!hidden) expect(stdout).toMatch(new RegExp(`^ {2}${name} +${summary}$`, 'm'));
    }
    expect(stdout).toContain('Examples:');
    expect(stdout).toContain('DEFIB_URL');
  });

  it('is there for each command, and says what it does', async () => {
    const program = await createFullProgram();
    const programs = new Set(COMMANDS.flatMap(({ name, hidden }) => (hidden ? [] : [name])));
    for (const command of program.commands) {
      expect(command.summary(), command.name()).toMatch(/^[a-z].{5,60}$/);
      if (!programs.has(command.name())) continue;
      expect(command.description(), command.name()).toMatch(/^[A-Z].{5,}/);
    }
    const { code, stdout } = await defib(['token', 'issue', '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain('--agent <name>');
  });

  it('names the version of the package', async () => {
    expect(await defib(['--version'])).toMatchObject({ code: 0, stdout: `${version()}\n` });
    expect(version()).toMatch(/^\d+\.\d+\.\d+/);
  });
});

describe('the exit code is 2', () => {
  it.each([
    [['no-such-command'], /unknown command/],
    [['sessions', '--no-such-option'], /unknown option/],
    [['sessions', '--status', 'asleep'], /Allowed choices/],
    [['sessions', '--limit', '0'], /whole number/],
    [['show'], /missing required argument/],
    [['token', 'issue'], /--agent <name>, or --operator/],
    [['token', 'issue', '--agent', 'a', '--operator'], /cannot be used with/],
    [['token', 'issue', '--agent', 'a', '--expires', 'soon'], /must be a time/],
    [['repos', 'track', 'acme'], /acme\/app/],
    [['agents', 'set', 'a', '--policy', 'timeoutSeconds'], /timeoutSeconds=3600/],
  ])('for %j', async (args, reason) => {
    const { code, stdout, stderr } = await call(args, 'unused');
    expect(stderr).toMatch(reason);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });
});

describe('an error is told with its code and what to do, and the exit code is 1', () => {
  it('when there is no token', async () => {
    const { code, stderr } = await defib(['sessions'], { env: { DEFIB_URL: service.url } });
    expect(stderr).toMatch(/^defib: no_token: .*\n {2}Set DEFIB_TOKEN/);
    expect(code).toBe(1);
  });

  it('when the token is not valid', async () => {
    const { code, stderr } = await call(['sessions'], 'nonsense');
    expect(stderr).toMatch(/^defib: unauthorized: .*\n {2}Set DEFIB_TOKEN/);
    expect(code).toBe(1);
  });

  it('when the token is not of an operator', async () => {
    const { code, stderr } = await call(['agents', 'list'], await service.agentToken('builder'));
    expect(stderr).toMatch(/^defib: forbidden: .*\n {2}Use an operator token/);
    expect(code).toBe(1);
  });

  it('when nothing answers', async () => {
    const port = await pickPort(undefined);
    const env = { DEFIB_URL: `http://127.0.0.1:${port}`, DEFIB_TOKEN: 'any' };
    const { code, stderr } = await defib(['sessions'], { env });
    expect(stderr).toMatch(/^defib: unreachable: .*ECONNREFUSED.*\n {2}Start the service/);
    expect(code).toBe(1);
  });

  it('when DEFIB_URL is no address', async () => {
    const { code, stderr } = await defib(['sessions'], { env: { DEFIB_URL: 'localhost:4700' } });
    expect(stderr).toMatch(/^defib: invalid_url: /);
    expect(code).toBe(1);
  });

  it('as JSON on stderr with --json', async () => {
    const { code, stdout, stderr } = await call(['sessions', '--json'], 'nonsense');
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'unauthorized', status: 401, hint: expect.stringContaining('DEFIB_TOKEN') },
    });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  });

  it('when something else answers, whose text is not obeyed by the terminal', async () => {
    const server = createServer((_, response) => {
      response.writeHead(502, { 'Content-Type': 'application/problem+json' });
      response.end(JSON.stringify({ code: 'odd', detail: 'a\u001b[2Jb\u202ec' }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const env = {
      DEFIB_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      DEFIB_TOKEN: 'any',
    };
    const { code, stderr } = await defib(['sessions'], { env });
    server.close();
    expect(stderr).toBe(String.raw`defib: odd: a\x1b[2Jb\u202ec` + '\n');
    expect(code).toBe(1);
  });
});

describe('the operator token of this machine', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'defib-cli-'));
    await mkdir(join(folder, '.defib'));
    const file = join(folder, '.defib', 'credentials.json');
    await writeFile(file, JSON.stringify({ operatorToken: service.env['DEFIB_OPERATOR_TOKEN'] }));
    await chmod(file, 0o600);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('is found in the folder of the service', async () => {
    const { code } = await defib(['sessions'], { cwd: folder, env: { DEFIB_URL: service.url } });
    expect(code).toBe(0);
    const elsewhere = { DEFIB_URL: service.url, DEFIB_DATA_DIR: join(folder, '.defib') };
    expect((await defib(['sessions'], { env: elsewhere })).code).toBe(0);
  });

  it('is found from any folder, with the address, while the service runs', async () => {
    const home = join(folder, 'home');
    const dataDir = join(home, 'defib');
    await cp(join(folder, '.defib'), dataDir, { recursive: true });
    const call = () => defib(['agents', 'list'], { env: { XDG_DATA_HOME: home } });
    const leave = await noteService(dataDir, service.url);
    expect(await call()).toMatchObject({ code: 0, stderr: '' });
    await leave();
    const port = await pickPort(undefined);
    await writeFile(
      join(dataDir, 'service.json'),
      JSON.stringify({ url: `http://127.0.0.1:${port}`, pid: process.pid, start: 'long ago' }),
    );
    expect((await call()).stderr).not.toContain(String(port));
  });

  it('is sent to no other machine', async () => {
    for (const url of ['https://defib.example.com', 'http://127.0.0.1.example.com']) {
      const env = { DEFIB_URL: url, DEFIB_OPERATOR_TOKEN: 'x'.repeat(20) };
      const { stderr } = await defib(['sessions'], { cwd: folder, env });
      expect(stderr).toMatch(/^defib: no_token/);
    }
    expect(await findToken('http://example.com')).toBeUndefined();
  });
});
