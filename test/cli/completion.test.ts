import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { defib } from '../setup/defib.ts';

const run = promisify(execFile);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'defib-completion-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function scriptFor(shell: string): Promise<string> {
  const { code, stdout } = await defib(['completion', shell]);
  expect(code).toBe(0);
  const file = join(folder, shell);
  await writeFile(file, stdout);
  return file;
}

const isInstalled = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

/** Has bash complete the last of these words, as TAB would. */
const ASK_BASH = `
source "$1"; shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
"$(complete -p defib | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
printf '%s\\n' "\${COMPREPLY[@]}"`;

describe('completion in bash', () => {
  let script: string;
  beforeAll(async () => {
    script = await scriptFor('bash');
  });

  const complete = async (...words: string[]) => {
    const args = ['--norc', '-c', ASK_BASH, 'bash', script, 'defib', ...words];
    return (await run('bash', args)).stdout.split('\n').filter((word) => word !== '');
  };

  it('knows every command', async () => {
    const visible = COMMANDS.filter(({ hidden }) => !hidden).map(({ name }) => name);
    expect(await complete('')).toEqual(expect.arrayContaining(visible));
  });

  it.each([
    [['se'], ['sessions']],
    [
      ['token', ''],
      ['issue', 'list', 'revoke', '--help', '-h'],
    ],
    [['token', 'issue', '--o'], ['--operator']],
    [['sessions', '--status', 't'], ['timed_out']],
    [['sessions', '--agent', ''], []],
    [['sessions', '--agent', 'token', '--needs'], ['--needs-attention']],
    [['completion', 'z'], ['zsh']],
  ])('completes %j', async (words, expected) => {
    expect(await complete(...words)).toEqual(expected);
  });
});

describe('completion in other shells', () => {
  it.skipIf(!isInstalled('fish'))('completes in fish', async () => {
    const ask = async (text: string) => {
      const script = `source ${await scriptFor('fish')}; complete -C '${text}'`;
      const { stdout } = await run('fish', ['--no-config', '-c', script]);
      return stdout
        .trim()
        .split('\n')
        .map((line) => line.split('\t')[0]);
    };
    expect(await ask('defib sess')).toEqual(['sessions']);
    expect(await ask('defib token ')).toEqual(['issue', 'list', 'revoke']);
    expect(await ask('defib agents show --')).toEqual(['--help', '--json']);
    expect(await ask('defib sessions --status ti')).toEqual(['timed_out']);
  });

  it.skipIf(!isInstalled('zsh'))('is read by zsh', async () => {
    const script = await scriptFor('zsh');
    const { stdout } = await run('zsh', ['-f', '-c', `source ${script}; print $_comps[defib]`]);
    expect(stdout).toContain('_bash_complete');
  });
});
