import { extname } from 'node:path';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { AppError } from '../../errors.ts';
import { createFairQueue } from '../../fair-queue.ts';
import { withTimeout } from '../../with-timeout.ts';
import type { Hit } from './find.ts';
import type { ScanAnswer, ScanRequest } from './worker.ts';

/** TypeScript in the repository, JavaScript in the package. */
const WORKER = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);

export type Scanner = {
  /**
   * The secrets in each text: those of a known shape, or with `likely` also what may well be one by where
   * it stands.
   *
   * @throws AppError `unavailable` when the search did not end before `signal`: nothing is known then
   */
  find(texts: readonly string[], options: FindOptions): Promise<Hit[][]>;
  close(): Promise<void>;
};

export type FindOptions = {
  likely: boolean;
  /** Made when it is this search's turn, so that its time does not go by in the queue. */
  signal: () => AbortSignal;
  /** For whom: owners take turns. */
  owner?: string;
};

/** How long a thread may take to come up, on however busy a machine. */
const START_MS = 30_000;

/**
 * Searches in a worker thread, one request at a time. The thread is started by the first, ended when one
 * takes too long or fails, and does not keep the process alive by itself.
 */
export function openScanner(): Scanner {
  let worker: Worker | undefined;
  const queue = createFairQueue();

  async function ask(request: ScanRequest, signal: () => AbortSignal): Promise<ScanAnswer> {
    try {
      worker ??= await startWorker();
      worker.ref();
      const answered = once(worker, 'message', { signal: signal() });
      worker.postMessage(request, []);
      const [answer] = (await answered) as [ScanAnswer];
      worker.unref();
      return answer;
    } catch (cause) {
      await close();
      throw new AppError('unavailable', 'The search for secrets did not end in time.', {
        transient: true,
        cause,
      });
    }
  }

  async function close(): Promise<void> {
    const ended = worker;
    worker = undefined;
    await ended?.terminate();
  }

  return {
    find: (texts, { likely, signal, owner = '' }) =>
      queue.run(owner, () => ask({ texts, likely }, signal)),
    close,
  };
}

/** Resolves when the thread has read its rules, so that no search pays for that with its time. */
async function startWorker(): Promise<Worker> {
  const worker = new Worker(WORKER);
  // Whoever waits is told by `once`; without a listener it would end the process.
  worker.on('error', () => undefined);
  await withTimeout(once(worker, 'message'), START_MS).catch(async (error: unknown) => {
    await worker.terminate();
    throw error;
  });
  return worker;
}
