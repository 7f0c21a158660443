import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { median, percentile } from '../measure/stats.ts';
import type { Installed } from './install.ts';

/** From start to end of the process, in milliseconds. */
export type Start = { name: string; p50: number; p95: number; ratio: number };

/**
 * Starts each in turn, round after round, so that all meet the same machine. The first is Node with
 * nothing to do: the others are shown in multiples of it.
 */
export async function measureStarts(
  installed: Installed,
  { rounds, signal }: { rounds: number; signal: AbortSignal },
): Promise<Start[]> {
  await addEmptyCommand(installed);
  const main = join(installed.defib, 'dist/cli/main.js');
  const commands: Record<string, string[]> = {
    'node -e 0': ['-e', '0'],
    'an empty command, as hooks are: no argument parser': [main, 'empty'],
    'defib --version': [main, '--version'],
    'defib sessions --help': [main, 'sessions', '--help'],
  };
  const times = new Map(Object.keys(commands).map((name) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    for (const [name, args] of Object.entries(commands)) {
      const elapsed = await timeOf(args, signal);
      // The first round fills the caches of the file system.
      if (round >= 0) times.get(name)?.push(elapsed);
    }
  }
  const floor = median(times.get('node -e 0') ?? []);
  return [...times].map(([name, all]) => ({
    name,
    p50: median(all),
    p95: percentile(
      all.toSorted((a, b) => a - b),
      0.95,
    ),
    ratio: median(all) / floor,
  }));
}

export const startsToMarkdown = (starts: readonly Start[]): string =>
  [
    '| start to end | p50 ms | p95 ms | × node -e 0 |',
    '| --- | --: | --: | --: |',
    ...starts.map(
      ({ name, p50, p95, ratio }) =>
        `| ${name} | ${p50.toFixed(1)} | ${p95.toFixed(1)} | ${ratio.toFixed(2)} |`,
    ),
  ].join('\n');

/** Into the scratch install: what every `direct` command costs before it does anything. */
async function addEmptyCommand({ defib }: Installed): Promise<void> {
  const table = join(defib, 'dist/cli/commands.js');
  await writeFile(join(defib, 'dist/cli/empty.js'), 'export const main = async () => 0;\n');
  await writeFile(
    table,
    `${await readFile(table, 'utf8')}
COMMANDS.push({ name: 'empty', summary: '', direct: () => import('./empty.js') });\n`,
  );
}

async function timeOf(args: string[], signal: AbortSignal): Promise<number> {
  const started = performance.now();
  const child = spawn(process.execPath, args, { stdio: 'ignore', signal });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`node ${args.join(' ')} ended with code ${code}`);
  return performance.now() - started;
}
