import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { tether } from './tether.ts';

/** A process that holds a tether on the process of `pidFile` and on `folder`, then waits. */
async function startHolder(pidFile: string, folder: string) {
  const script = `
    import { tether } from ${JSON.stringify(new URL('./tether.ts', import.meta.url).href)};
    tether([${JSON.stringify(pidFile)}], ${JSON.stringify(folder)});
    setInterval(() => {}, 1e6);
    console.log('ready');`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  return holder;
}

async function startVictim() {
  const folder = await mkdtemp(join(tmpdir(), 'defib-tether-'));
  const victim = spawn('sleep', ['600'], { stdio: 'ignore' });
  const pidFile = join(folder, 'pid');
  await writeFile(pidFile, `${victim.pid}\nmore\n`);
  onTestFinished(async () => {
    victim.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  return { folder, pidFile, victim };
}

test('kill -9 of the holder takes its process and folder along', async () => {
  const { folder, pidFile, victim } = await startVictim();
  const holder = await startHolder(pidFile, folder);
  const died = once(victim, 'exit');
  holder.kill('SIGKILL');
  await died;
  await vi.waitFor(() => expect(existsSync(folder)).toBe(false), { timeout: 10_000 });
});

test('a released tether touches nothing', async () => {
  const { folder, pidFile, victim } = await startVictim();
  await tether([pidFile], folder).release();
  expect(existsSync(folder)).toBe(true);
  expect(victim.exitCode ?? victim.signalCode).toBeNull();
});
