import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { percentile } from './stats.ts';

export type Machine = {
  cores: number;
  cpu: string;
  memoryGiB: number;
  system: string;
  /** Median milliseconds to write 8 KiB and have it on disk: the price of one commit. */
  fdatasyncMs: number;
  versions: Record<string, string>;
};

/** What the figures depend on, and nothing that names the machine or its places. */
export function describeMachine(folder: string, servers: Record<string, string>): Machine {
  const bench = JSON.parse(readFileSync(inBench('package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  return {
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()}`,
    fdatasyncMs: fdatasyncMs(folder),
    versions: {
      Defib: commit(),
      Node: process.version.slice(1),
      ...servers,
      ...bench.dependencies,
    },
  };
}

const inBench = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

function fdatasyncMs(folder: string): number {
  const file = openSync(join(folder, 'fdatasync'), 'w');
  const block = Buffer.alloc(8_192);
  const times = Array.from({ length: 200 }, () => {
    const started = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    return performance.now() - started;
  });
  closeSync(file);
  return percentile(
    times.toSorted((a, b) => a - b),
    0.5,
  );
}

function commit(): string {
  try {
    const args = ['rev-parse', '--short', 'HEAD'];
    return execFileSync('git', args, { cwd: inBench('.'), stdio: 'pipe' })
      .toString()
      .trim();
  } catch {
    return 'unknown';
  }
}
