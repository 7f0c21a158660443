import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFIB } from '../setup/defib.ts';
import { startSupervised, type Supervised } from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

/** Runs `defib run` on a terminal of its own, made by script(1). */
function onTerminal(cwd: string, script: string) {
  const quoted = [process.execPath, DEFIB, 'run', '--', 'sh', '-c', script]
    .map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`)
    .join(' ');
  const child = spawn('script', ['--quiet', '--return', '--command', quoted, '/dev/null'], {
    cwd,
    env: { PATH: process.env['PATH'], SHELL: '/bin/sh', TERM: 'dumb', ...flow.env },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => void (output += chunk.toString()));
  return {
    output: () => output,
    type: (text: string) => void child.stdin.write(text),
    exited: once(child, 'close').then(([code]) => code as number),
  };
}

const hasScript = spawnSync('script', ['--version']).status === 0;

describe.skipIf(!hasScript)('an agent on a terminal', () => {
  it('reads it, sets it and draws on it, as without a supervisor', async () => {
    const { worktree } = flow.clone('tty');
    const one = onTerminal(
      worktree,
      'test -t 0 && test -t 1 && stty -echo && echo ready; read line; echo "got $line" > /dev/tty; exit 5',
    );
    await until('it is ready', () => one.output().includes('ready'));
    one.type('hello\n');
    expect(await one.exited).toBe(5);
    expect(one.output()).toContain('got hello');
  });

  it('gets Ctrl-C once; ended by it, its work is cancelled', async () => {
    const { worktree } = flow.clone('keys');
    const one = onTerminal(
      worktree,
      'n=0; trap "n=\\$((n + 1)); echo int \\$n" INT; echo ready; read first; trap - INT; echo again; sleep 600',
    );
    await until('it is ready', () => one.output().includes('ready'));
    one.type('\x03');
    await until('it has it', () => one.output().includes('int 1'));
    one.type('\n');
    await until('it goes on', () => one.output().includes('again'));
    expect(one.output()).not.toContain('int 2');
    one.type('\x03');
    expect(await one.exited).toBe(130);
    const id = /session (\S+) of/.exec(one.output())?.[1] ?? '';
    expect(await flow.session(id)).toMatchObject({ status: 'cancelled', summary: 'Ctrl-C' });
  });
});
