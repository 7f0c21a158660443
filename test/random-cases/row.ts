import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { type Outcome, runCase } from './case.ts';
import { openService, type Place } from './service.ts';
import { issueAgent } from './session.ts';

/** What a row of cases is given. `next` counts the cases that were begun, over all rows. */
export type RowTask = {
  name: string;
  place: Place;
  /** Of the first case; each next one has the next. */
  seed: number;
  cases: number;
  /** Since the epoch; no case is begun after it. */
  endMs: number;
  next: SharedArrayBuffer;
};

export type RowResult = Outcome & { seed: number };

/**
 * One case after the other, in a thread of its own: it makes its repositories by git commands that it waits for,
 * and these must not hold up the calls of other rows.
 */
const task = workerData as RowTask;
const service = openService(task.place);
const agent = await issueAgent(service, task.name);
const store = mkdtempSync(join(task.place.work, 'store-'));
const next = new Int32Array(task.next);
for (;;) {
  const n = Atomics.add(next, 0, 1);
  if (n >= task.cases || Date.now() > task.endMs) break;
  const seed = task.seed + n;
  const result: RowResult = { seed, ...(await runCase(service, { seed, agent, store })) };
  parentPort?.postMessage(result, []);
}
await service.database.end();
