import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AGENTS } from '../../src/adapters/event.ts';
import { takeEvents } from '../../src/adapters/spool.ts';
import { hookInputs, placeTranscript } from '../adapters/recorded.ts';
import { until } from '../setup/until.ts';

const defib = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

let folder: string;
let session: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'defib-hook-'));
  session = join(folder, 'session');
  await mkdir(session);
});
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }));

async function runHook(
  args: string[],
  input: string | Buffer,
  env: Record<string, string> = { DEFIB_SESSION_DIR: session },
) {
  const child = spawn(process.execPath, [defib, 'hook', ...args], {
    env: { HOME: folder, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  // A hook that ended early would break the pipe: an error here fails the test.
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

const quiet = { code: 0, output: '' };
const log = async (path = join(session, 'hook.log')) => await readFile(path, 'utf8');

test('an event reaches the session', async () => {
  const write = hookInputs('claude-code').find((input) => input['tool_name'] === 'Write');
  expect(await runHook(['claude-code'], JSON.stringify(write))).toEqual(quiet);
  expect(takeEvents(session)).toEqual([
    expect.objectContaining({
      agent: 'claude-code',
      kind: 'tool-start',
      at: expect.stringMatching(/Z$/),
      tool: 'Write',
      mutating: true,
      input: { file_path: '/stage/work/made.txt', content: 'made\n' },
    }),
  ]);
  expect(existsSync(join(session, 'hook.log'))).toBe(false);
});

describe('whatever it is given, it gives 0 and says nothing', () => {
  const broken: [string, string | Buffer][] = [
    ['nothing', ''],
    ['no JSON', '{"session_id":'],
    ['no object', '[1, 2]'],
    ['null', 'null'],
    ['bytes', Buffer.from([0xff, 0x00, 0xfe])],
    ['deep nesting', '['.repeat(100_000)],
    ['more than a hook has', Buffer.alloc(40 * 1024 * 1024, 'x')],
  ];
  test.each(broken)('%s', async (_name, input) => {
    expect(await runHook(['claude-code'], input)).toEqual(quiet);
    expect(takeEvents(session)).toEqual([]);
    expect(await log()).toMatch(/^\d{4}-\S+ .+\n$/);
  });

  test.each([...AGENTS])('an event that %s has no use for', async (agent) => {
    expect(await runHook([agent], '{"hook_event_name":"Notification"}')).toEqual(quiet);
    expect(takeEvents(session)).toEqual([]);
    expect(existsSync(join(session, 'hook.log'))).toBe(false);
  });

  test.each([[[]], [['nobody']], [['--help']]])('arguments %j', async (args) => {
    expect(await runHook(args, '{}')).toEqual(quiet);
    expect(await log()).toContain('no adapter');
  });

  test('a session whose folder is gone', async () => {
    const stop = JSON.stringify({ kind: 'stop', sessionRef: 's' });
    const env = { DEFIB_SESSION_DIR: join(folder, 'gone') };
    expect(await runHook(['generic'], stop, env)).toEqual(quiet);
    expect(await log(join(folder, '.local/state/defib/hook.log'))).toContain('ENOENT');
  });

  test('a log that cannot be written', async () => {
    await mkdir(join(session, 'hook.log'));
    expect(await runHook(['claude-code'], 'broken')).toEqual(quiet);
  });
});

test('the log is bounded', async () => {
  await writeFile(join(session, 'hook.log'), 'x'.repeat(300 * 1024));
  await runHook(['claude-code'], 'broken');
  expect((await log()).length).toBeLessThan(1000);
  expect((await stat(join(session, 'hook.log.1'))).size).toBe(300 * 1024);
});

test('outside of a session it does nothing', async () => {
  const stop = JSON.stringify({ kind: 'stop', sessionRef: 's' });
  expect(await runHook(['generic'], stop, {})).toEqual(quiet);
  expect(existsSync(join(folder, '.local'))).toBe(false);
});

test('it loads one adapter and nothing from packages', async () => {
  const listing = `data:text/javascript,
    import { registerHooks } from 'node:module';
    registerHooks({ load: (url, context, next) => {
      process._rawDebug(url);
      return next(url, context);
    } });`;
  const child = spawn(process.execPath, ['--import', listing, defib, 'hook', 'codex'], {
    env: { DEFIB_SESSION_DIR: session, HOME: folder },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  child.stdin.end(JSON.stringify({ hook_event_name: 'Stop', session_id: 's', cwd: '/' }));
  let loaded = '';
  child.stderr.on('data', (chunk: Buffer) => (loaded += chunk.toString()));
  await once(child, 'close');
  expect(takeEvents(session)).toHaveLength(1);
  const files = loaded.match(/file:\S+/g)!.map((url) => url.replace(/.*\/src\//, ''));
  expect(files.sort()).toEqual([
    'adapters/adapter.ts',
    'adapters/codex.ts',
    'adapters/command-line.ts',
    'adapters/conversation.ts',
    'adapters/event.ts',
    'adapters/settings.ts',
    'adapters/spool.ts',
    'adapters/tail.ts',
    'cli/commands.ts',
    'cli/frame/npm.ts',
    'cli/frame/self.ts',
    'cli/hook-log.ts',
    'cli/hook-throttle.ts',
    'cli/hook.ts',
    'cli/main.ts',
  ]);
});

describe('without a supervisor', () => {
  type Post = { path: string; authorization: string | undefined; body: unknown };
  const posts: Post[] = [];
  let respond = 201;
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      posts.push({ path: request.url ?? '', authorization: request.headers.authorization, body });
      response.writeHead(respond).end('{}');
    });
  });
  let env: Record<string, string>;

  beforeEach(async () => {
    posts.length = 0;
    respond = 201;
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    env = {
      DEFIB_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      DEFIB_SESSION_ID: 'a-session',
      DEFIB_SESSION_TOKEN: 'a-token',
    };
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });

  const input = (kind: string, tool?: string) => {
    const transcriptPath = join(folder, 'projects/-stage-work/session.jsonl');
    return JSON.stringify({ kind, sessionRef: 's', cwd: '/', transcriptPath, tool });
  };

  test('it posts a checkpoint with the reasoning, after it has returned', async () => {
    placeTranscript('pi', folder);
    expect(await runHook(['pi'], input('stop'), env)).toEqual(quiet);
    const post = await until('the checkpoint arrives', () => posts[0]);
    expect(post).toMatchObject({
      path: '/api/sessions/a-session/checkpoints',
      authorization: 'Bearer a-token',
      body: {
        trigger: 'stop',
        reasoning: { decisions: [{ what: 'write it by hand', why: 'it is short.' }] },
      },
    });
  });

  test('after calls that change files, not more often than it must, and at the end', async () => {
    await runHook(['pi'], input('tool-start', 'write'), env);
    await runHook(['pi'], input('tool-end', 'read'), env);
    await runHook(['pi'], input('turn'), env);
    await runHook(['pi'], input('tool-end', 'write'), env);
    await runHook(['pi'], input('tool-end', 'write'), env);
    await runHook(['pi'], input('stop'), env);
    await until('both have arrived', () => posts.length >= 2);
    const triggers = posts.map(({ body }) => (body as { trigger: string }).trigger);
    expect(triggers.sort()).toEqual(['stop', 'tool']);
  });

  test('what the server refuses is in the log', async () => {
    respond = 409;
    await runHook(['pi'], input('stop'), env);
    const path = join(folder, '.local/state/defib/hook.log');
    await until('it is logged', () => existsSync(path));
    expect(await log(path)).toContain('refused with 409');
    expect(await log(path)).not.toContain('a-token');
  });
});

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}
