import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { withTimeout } from '../../src/with-timeout.ts';
import { processTree } from '../setup/process-tree.ts';
import type { Answer } from '../setup/service.ts';

/** What was seen of a service while something was done to it. */
export type Seen = {
  /** How each call of the other agent ended: its status, or why it has none. */
  outcomes: (number | string)[];
  /** The 99th percentile of how long these took, and the longest that the event loop stood still, in ms. */
  p99: number;
  stoodStill: number;
  /** Most bytes of memory at once: of the process of the service, and of it and its git children together. */
  service: number;
  together: number;
  /** The largest git child alone. */
  child: number;
  /** Most bytes of disk in its data folder. */
  disk: number;
};

export type Watched = {
  pid: number;
  url: string;
  dataDir: string;
  /** Calls that another agent makes. */
  others: (() => Promise<Answer>)[];
};

const BEAT_MS = 200;
const FEWEST_BEATS = 5;
/** A call that takes longer has failed. */
const PATIENCE_MS = 30_000;
const SAMPLE_MS = 100;

/** Does `work` while another agent beats five times a second, and looks at what the service needs. */
export async function watch<T>(
  { pid, url, dataDir, others }: Watched,
  work: () => Promise<T>,
): Promise<{ result: T; seen: Seen }> {
  await stoodStill(url); // What was before does not count.
  const outcomes: (number | string)[] = [];
  const times: number[] = [];
  const done = new AbortController();
  const peaks = samplePeaks(pid, dataDir, done.signal);
  const beating = beatUntil(done.signal, others, async (beat) => {
    const began = performance.now();
    outcomes.push(await withTimeout(beat(), PATIENCE_MS).then(({ status }) => status, String));
    times.push(performance.now() - began);
  });
  try {
    const result = await work();
    done.abort();
    await beating;
    const still = await stoodStill(url);
    const seen = { outcomes, p99: percentile(times, 0.99), stoodStill: still, ...(await peaks) };
    return { result, seen };
  } finally {
    done.abort();
    await Promise.allSettled([beating, peaks]);
  }
}

/** Begins to beat every so often, also while an earlier one has not been answered. */
async function beatUntil<B>(
  signal: AbortSignal,
  beats: B[],
  timed: (beat: B) => Promise<void>,
): Promise<void> {
  const begun: Promise<void>[] = [];
  for (let n = 0; n < FEWEST_BEATS || !signal.aborted; n += 1) {
    begun.push(...beats.map(timed));
    await pause(BEAT_MS);
  }
  await Promise.all(begun);
}

async function samplePeaks(pid: number, dataDir: string, signal: AbortSignal) {
  const peaks = { service: 0, together: 0, child: 0, disk: 0 };
  while (!signal.aborted) {
    const [service, ...children] = processTree(pid);
    const together = children.reduce((sum, { rss }) => sum + rss, service?.rss ?? 0);
    peaks.service = Math.max(peaks.service, service?.rss ?? 0);
    peaks.together = Math.max(peaks.together, together);
    peaks.child = Math.max(peaks.child, ...children.map(({ peak }) => peak));
    peaks.disk = Math.max(peaks.disk, usedBelow(dataDir));
    await pause(SAMPLE_MS);
  }
  return peaks;
}

/** Bytes of disk of all files; folders come and go meanwhile. */
function usedBelow(folder: string): number {
  let bytes = 0;
  for (const entry of listed(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += usedBelow(path);
    else bytes += (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }
  return bytes;
}

function listed(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** What the service says of its event loop since it was last asked. */
async function stoodStill(url: string): Promise<number> {
  const text = await (
    await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(PATIENCE_MS) })
  ).text();
  return Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(text)?.[1]) * 1000;
}

function percentile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
