import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { median, percentile } from '../measure/stats.ts';
import type { Installed } from './install.ts';

/** From start to end of the process, in milliseconds. */
export type Start = { name: string; fastest: number; p50: number; p95: number; ratio: number };

type Command = { name: string; args: string[]; env?: Record<string, string>; input?: string };

/** What Claude Code tells a hook after it has edited a file. */
const EDITED = JSON.stringify({
  session_id: '01920000-0000-7000-8000-000000000000',
  cwd: '/',
  hook_event_name: 'PostToolUse',
  tool_name: 'Edit',
  tool_input: { file_path: '/a.txt', old_string: 'a', new_string: 'b' },
  tool_response: { filePath: '/a.txt' },
});

/**
 * Starts each in turn, round after round, so that all meet the same machine. The first is Node with
 * nothing to do: the others are shown in multiples of it.
 *
 * @param scratch a folder that the hook of a session may write to
 */
export async function measureStarts(
  { defib }: Installed,
  options: { rounds: number; scratch: string; signal: AbortSignal },
): Promise<Start[]> {
  const { rounds, scratch, signal } = options;
  const main = join(defib, 'dist/cli/main.js');
  const hook = [main, 'hook', 'claude-code'];
  const session = join(scratch, 'session');
  await mkdir(session);
  const commands: Command[] = [
    { name: 'node -e 0', args: ['-e', '0'] },
    { name: 'defib hook, outside of a session', args: hook, input: EDITED },
    {
      name: 'defib hook, in a session',
      args: hook,
      input: EDITED,
      env: { DEFIB_SESSION_DIR: session },
    },
    { name: 'defib --version', args: [main, '--version'] },
    { name: 'defib sessions --help', args: [main, 'sessions', '--help'] },
  ];
  const times = commands.map((): number[] => []);
  for (let round = -1; round < rounds; round++) {
    for (const [n, command] of commands.entries()) {
      const elapsed = await timeOf(command, signal);
      // The first round fills the caches of the file system.
      if (round >= 0) times[n]?.push(elapsed);
    }
  }
  const floor = median(times[0] ?? []);
  return commands.map(({ name }, n) => {
    const ascending = (times[n] ?? []).toSorted((a, b) => a - b);
    const p50 = median(ascending);
    const [fastest = Number.NaN] = ascending;
    return { name, fastest, p50, p95: percentile(ascending, 0.95), ratio: p50 / floor };
  });
}

export const startsToMarkdown = (starts: readonly Start[]): string =>
  [
    '| start to end | fastest ms | p50 ms | p95 ms | p50 × node -e 0 |',
    '| --- | --: | --: | --: | --: |',
    ...starts.map(
      ({ name, fastest, p50, p95, ratio }) =>
        `| ${name} | ${fastest.toFixed(1)} | ${p50.toFixed(1)} | ${p95.toFixed(1)} | ${ratio.toFixed(2)} |`,
    ),
  ].join('\n');

async function timeOf({ name, args, env, input }: Command, signal: AbortSignal): Promise<number> {
  const started = performance.now();
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['pipe', 'ignore', 'inherit'],
    signal,
  });
  // One that does not read its input may be gone before it is written.
  child.stdin.on('error', () => undefined).end(input);
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`"${name}" ended with code ${code}`);
  return performance.now() - started;
}
