import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Failure = { code: number | null; stderr: string; output: string };

/**
 * Runs an entry that is expected to end by itself, in an empty folder and with this environment
 * alone. One that goes on running is killed, and then its code is null.
 */
export async function runFailing(
  entry: 'main' | 'web' | 'worker' | 'release',
  env: Record<string, string>,
): Promise<Failure> {
  const folder = await mkdtemp(join(tmpdir(), 'defib-failing-'));
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL(`../../src/${entry}.ts`, import.meta.url))],
    {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: folder, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 25_000,
      killSignal: 'SIGKILL',
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => void (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => void (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  await rm(folder, { recursive: true, force: true });
  return { code, stderr, output: stdout + stderr };
}
