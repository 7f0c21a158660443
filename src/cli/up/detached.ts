import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { readService, type RunningService } from '../../service-file.ts';
import { CliError } from '../frame/errors.ts';
import { DEFIB } from '../frame/self.ts';

export type Detached = RunningService & {
  /** It ran before. */
  already: boolean;
  log: string;
};

/** A first start unpacks and makes a database; recovery after a crash counts too. */
const START_MS = 180_000;
const LOOK_MS = 100;
const TAIL_LINES = 15;

/**
 * Starts the service as a process of its own, which outlives this one and its terminal, and waits until it is ready.
 *
 * @throws CliError `not_started`, with the end of its log
 */
export async function startDetached(dataDir: string): Promise<Detached> {
  const log = join(dataDir, 'service.log');
  const running = readService(dataDir);
  if (running) return { ...running, already: true, log };
  await mkdir(dataDir, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
  // That of the last start is kept beside it.
  await rename(log, `${log}.1`).catch(() => undefined);
  const output = await open(log, 'a', 0o600);
  const child = spawn(process.execPath, [DEFIB, 'up'], {
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
    // Its log is no place for the token, which is kept beside it.
    env: { ...process.env, DEFIB_DATA_DIR: dataDir, DEFIB_HIDE_TOKEN: 'true' },
  });
  const exited = once(child, 'exit').then(([code, signal]) => String(code ?? signal));
  exited.catch(() => undefined);
  await once(child, 'spawn').finally(() => output.close());
  let ended: string | undefined;
  void exited.then((how) => (ended = how));
  for (const until = performance.now() + START_MS; performance.now() < until;) {
    if (ended !== undefined) throw await notStarted(log, `it ended with ${ended}`);
    const service = readService(dataDir);
    if (service && service.pid === child.pid && (await isReady(service.url))) {
      child.unref();
      return { ...service, already: false, log };
    }
    await pause(LOOK_MS);
  }
  child.kill('SIGTERM');
  throw await notStarted(log, `it was not ready within ${START_MS / 1000} s, and was stopped`);
}

const isReady = async (url: string): Promise<boolean> =>
  await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5000) }).then(
    ({ ok }) => ok,
    () => false,
  );

async function notStarted(log: string, why: string): Promise<CliError> {
  const text = await readFile(log, 'utf8').catch(() => '');
  const tail = text.trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  return new CliError('not_started', `The service is not up: ${why}.\n${tail}`, `Its log: ${log}`);
}
