import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Agent } from '../../src/adapters/event.ts';
import { initAgent, type InitOptions } from '../../src/cli/init.ts';
import { defib } from '../setup/defib.ts';

let root: string;
let home: string;
let project: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'defib-init-'));
  [home, project] = [join(root, 'home'), join(root, 'project')];
  await Promise.all([mkdir(home), mkdir(join(project, '.git'), { recursive: true })]);
});
afterEach(() => rm(root, { recursive: true, force: true }));

type Flags = Partial<InitOptions> & { typed?: string; cwd?: string };

/** What it printed, and why it gave up, if it did. */
async function init(agent: string, { typed, cwd = project, ...flags }: Flags = {}) {
  const stdin: PassThrough & { isTTY?: boolean } = new PassThrough();
  if (typed !== undefined) {
    stdin.isTTY = true;
    stdin.end(typed);
  }
  const stdout = new PassThrough();
  const options = { user: false, undo: false, yes: false, command: 'defib', ...flags };
  const failure = await initAgent(agent as Agent, options, {
    stdin,
    stdout,
    env: { HOME: home },
    cwd,
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { out: String(stdout.read() ?? ''), failure };
}

const done = { failure: undefined };
const gaveUp = (code: string, message: string) => ({
  failure: expect.objectContaining({ code, message: expect.stringContaining(message) }),
});

/** Where each agent's settings are, and what is in them. */
const FILES = {
  'claude-code': ['.claude/settings.json', '.claude/settings.json'],
  codex: ['.codex/hooks.json', '.codex/hooks.json'],
  'gemini-cli': ['.gemini/settings.json', '.gemini/settings.json'],
  opencode: ['.opencode/plugins/defib.js', '.config/opencode/plugins/defib.js'],
  pi: ['.pi/extensions/defib.ts', '.pi/agent/extensions/defib.ts'],
};
const everywhere = Object.entries(FILES).flatMap(([agent, [ofProject = '', ofUser = '']]) => [
  { agent, flags: { user: false }, file: () => join(project, ofProject) },
  { agent, flags: { user: true }, file: () => join(home, ofUser) },
]);

describe.each(everywhere)('$agent $flags', ({ agent, flags, file }) => {
  test('is told of Defib once, and no more after --undo', async () => {
    const written = await init(agent, { ...flags, yes: true });
    expect(written).toMatchObject(done);
    expect(written.out).toContain(`+++ `);
    expect(written.out).toContain(`Wrote ${file()}`);
    const text = await readFile(file(), 'utf8');
    expect(text).toContain(`defib hook ${agent}`);

    expect(await init(agent, { ...flags, yes: true })).toMatchObject({
      ...done,
      out: `Nothing to do: ${file()} is as it should be.\n`,
    });
    expect(await readFile(file(), 'utf8')).toBe(text);

    expect((await init(agent, { ...flags, yes: true, undo: true })).out).toContain(
      `Deleted ${file()}`,
    );
    expect(existsSync(dirname(file()))).toBe(false);
    expect(await readdir(project)).toEqual(['.git']);

    expect(await init(agent, { ...flags, yes: true, undo: true })).toMatchObject(done);
  });

  test('shows what it would do, asks, and does it only for a yes', async () => {
    const refused = await init(agent, { ...flags, typed: 'n\n' });
    expect(refused).toMatchObject(gaveUp('not_written', 'Nothing was written'));
    expect(refused.out).toContain(`+++ `);
    expect(existsSync(file())).toBe(false);

    expect(await init(agent, flags)).toMatchObject(gaveUp('not_written', 'no terminal'));
    expect(existsSync(file())).toBe(false);

    expect(await init(agent, { ...flags, typed: 'y\n' })).toMatchObject(done);
    expect(existsSync(file())).toBe(true);
  });

  test('a newer way to start Defib takes the place of the older', async () => {
    await init(agent, { ...flags, yes: true, command: 'node /old/defib.js' });
    await init(agent, { ...flags, yes: true });
    const text = await readFile(file(), 'utf8');
    expect(text).not.toContain('/old/');
    await init(agent, { ...flags, yes: true, undo: true });
    expect(existsSync(file())).toBe(false);
  });
});

/** Settings that people have; undoing must give each back to the byte. */
const SETTINGS = {
  'of two spaces': '{\n  "model": "opus",\n  "env": { "A": "1" }\n}\n',
  'of tabs, without a last newline': '{\n\t"model": "opus"\n}',
  'of Windows': '{\r\n    "model": "opus"\r\n}\r\n',
  'on one line': '{"model":"opus"}',
  'that are empty': '{}',
  'with comments': '{\n  // why\n  "model": "opus", // tail\n  /* more */\n}\n',
  'with a comma too many': '{\n  "model": "opus",\n}\n',
  'with other hooks': `{
  "hooks": {
    "Stop": [{ "hooks": [{ "type": "command", "command": "say hook claude-code done" }] }],
    "PreToolUse": [
      {
        "matcher": "Bash",
        "hooks": [
          {"type": "command", "command": "a"},
          {"type": "command", "command": "b"}
        ]
      }
    ]
  },
  "after": [1,  2]
}
`,
  'with names that JavaScript minds': '{ "__proto__": { "x": 1 }, "constructor": 2 }\n',
};

describe.each(Object.entries(SETTINGS))('settings %s', (_name, before) => {
  test.each(['claude-code', 'gemini-cli', 'codex'] as const)(
    'keep what was there for %s, and are the same bytes after --undo',
    async (agent) => {
      const file = join(project, FILES[agent][0]!);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, before);
      expect(await init(agent, { yes: true })).toMatchObject(done);
      const text = await readFile(file, 'utf8');
      expect(text).toContain(`hook ${agent}`);
      const wordsOf = (settings: string) => settings.match(/"[^"]*"|\/\/.*|\/\*.*\*\//g) ?? [];
      const words = new Set(wordsOf(text));
      for (const word of wordsOf(before)) expect(words).toContain(word);
      await init(agent, { yes: true });
      expect(await readFile(file, 'utf8')).toBe(text);
      expect(await init(agent, { yes: true, undo: true })).toMatchObject(done);
      // A file without settings is the same as none.
      if (before === '{}') expect(existsSync(file)).toBe(false);
      else expect(await readFile(file, 'utf8')).toBe(before);
    },
  );
});

test('undoing leaves what was added since', async () => {
  await init('claude-code', { yes: true });
  const file = join(project, '.claude/settings.json');
  const since = (await readFile(file, 'utf8')).replace('{\n', '{\n  "model": "opus",\n');
  await writeFile(file, since);
  await init('claude-code', { yes: true, undo: true });
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ model: 'opus' });
});

test.each([
  ['{"hooks": ', 'not valid JSON (line 1)'],
  ['[]', 'not a JSON object'],
  ['{"hooks": []}', '"hooks" is not what the agent expects'],
  ['{"hooks": {"Stop": {}}}', '"hooks.Stop" is not what the agent expects'],
])('settings of %s are left alone', async (text, problem) => {
  const file = join(project, '.claude/settings.json');
  await mkdir(dirname(file));
  await writeFile(file, text);
  const answer = await init('claude-code', { yes: true });
  expect(answer).toMatchObject(gaveUp('settings', problem));
  expect(await readFile(file, 'utf8')).toBe(text);
});

test('a plugin of that name that is not from Defib is left alone', async () => {
  const file = join(project, '.pi/extensions/defib.ts');
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, 'export default () => {};\n');
  expect(await init('pi', { yes: true })).toMatchObject(gaveUp('settings', 'not from Defib'));
  expect(await init('pi', { yes: true, undo: true })).toMatchObject(done);
  expect(await readFile(file, 'utf8')).toBe('export default () => {};\n');
});

test('a link stays a link, and a mode a mode', async () => {
  const target = join(root, 'dotfiles.json');
  await writeFile(target, '{\n  "model": "opus"\n}\n');
  await chmod(target, 0o600);
  const link = join(home, '.claude/settings.json');
  await mkdir(dirname(link));
  await symlink(target, link);
  await init('claude-code', { user: true, yes: true });
  expect((await lstat(link)).isSymbolicLink()).toBe(true);
  expect(await readFile(target, 'utf8')).toContain('defib hook claude-code');
  expect((await stat(target)).mode & 0o777).toBe(0o600);
});

test('a file that cannot be read is named', async () => {
  const file = join(project, '.claude/settings.json');
  await mkdir(file, { recursive: true });
  expect(await init('claude-code', { yes: true })).toMatchObject(gaveUp('settings', file));
});

test('from below, it finds the project', async () => {
  const cwd = join(project, 'src/deep');
  await mkdir(cwd, { recursive: true });
  expect(await init('codex', { yes: true, cwd })).toMatchObject(done);
  expect(existsSync(join(project, '.codex/hooks.json'))).toBe(true);
});

test('as a command, it writes, explains itself, and says what is wrong', async () => {
  const call = (...args: string[]) =>
    defib(['init', ...args], { cwd: project, env: { HOME: home } });
  const wrote = await call('gemini-cli', '--yes');
  expect(wrote).toMatchObject({ code: 0, stderr: '' });
  expect(wrote.stdout).toContain(`Wrote ${join(project, '.gemini/settings.json')}`);
  expect(await call('gemini-cli', '--undo')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Add --yes'),
  });
  expect(await call('nobody')).toMatchObject({ code: 2, stderr: expect.stringContaining('pi') });
  expect((await call('--help')).stdout).toContain('defib init claude-code --undo');
});

test('outside of a session, the command of a hook is not even started', async () => {
  await init('claude-code', { yes: true, command: 'false' });
  const settings = JSON.parse(await readFile(join(project, '.claude/settings.json'), 'utf8')) as {
    hooks: Record<string, { hooks: { command: string }[] }[]>;
  };
  const { command } = settings.hooks['Stop']![0]!.hooks[0]!;
  const shell = promisify(execFile);
  await shell('/bin/sh', ['-c', command], { env: {} });
  await expect(
    shell('/bin/sh', ['-c', command], { env: { DEFIB_SESSION_DIR: '/x' } }),
  ).rejects.toThrow();
});
