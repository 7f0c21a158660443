import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import type { CaptureOptions } from '../../../../src/services/git/capture-types.ts';
import { perform } from './plan.ts';
import type { Beside, Place } from './plan.ts';

/** What loops beside a capture until the file `stop` appears; each turn ends as a whole. */
const LOOPS: Record<string, string> = {
  writer: 'i=$((i+1)); printf %06d $i > f$((i%10)); printf %06d $i > dir/f$((i%3))',
  switcher: 'git checkout -q -f side; git checkout -q -f main',
  committer: 'i=$((i+1)); printf %06d $i > f$((i%10)); git add -A; git commit -q -m $i',
  collector: 'git gc -q --prune=now; git stash -q; git stash pop -q',
};

/** Runs `work` with the disturbance beside it, which is over when this returns. */
export async function withBeside<T>(
  place: Place,
  beside: Beside,
  work: (more: Partial<CaptureOptions>) => Promise<T>,
): Promise<T> {
  if (beside === null) return work({});
  if ('stage' in beside) {
    let done = false;
    return work({
      onStage: (stage) => {
        if (stage !== beside.stage || done) return;
        done = true;
        for (const act of beside.acts) perform(place, act);
      },
    });
  }
  if (beside.process === 'twice') return withSecondEdits(place, work);
  const stop = join(place.root, `stop-${process.hrtime.bigint()}`);
  const script = `i=0; mkdir -p dir; while [ ! -e ${stop} ]; do ${LOOPS[beside.process] ?? ':'}; done`;
  const child = spawn('sh', ['-c', script], {
    cwd: place.repo,
    stdio: 'ignore',
    env: { ...GIT_ENV, PATH: process.env['PATH'] ?? '' },
  });
  const ended = once(child, 'close');
  try {
    return await work({});
  } finally {
    writeFileSync(stop, '');
    await ended;
  }
}

/** Takes longer than a second to read and pack, behind all names that are edited. */
const LARGE = { name: 'zzz', bytes: 40_000_000 };

/**
 * Edits files for half a second at the same size, from the begin of a second on, while a long capture goes
 * on reading others: what was read may change once more before the clock of git's index, which counts whole
 * seconds, shows another time.
 */
async function withSecondEdits<T>(
  place: Place,
  work: (more: Partial<CaptureOptions>) => Promise<T>,
): Promise<T> {
  const names = Array.from({ length: 10 }, (_, n) => join(place.repo, `e${n}`));
  for (const name of names) writeFileSync(name, '000000');
  const large = join(place.repo, LARGE.name);
  writeFileSync(large, randomBytes(LARGE.bytes));
  let edits = Promise.resolve();
  try {
    return await work({
      onStage: async (stage) => {
        if (stage !== 'scanned') return;
        await delay(1000 - (Date.now() % 1000));
        edits = editFor(500, names);
      },
    });
  } finally {
    await edits;
    rmSync(large, { force: true });
  }
}

async function editFor(ms: number, names: readonly string[]): Promise<void> {
  const end = Date.now() + ms;
  for (let n = 0; Date.now() < end; n += 1) {
    for (const name of names) writeFileSync(name, String(n).padStart(6, '0'));
    await delay(10);
  }
}

const GIT_ENV = {
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'User',
  GIT_AUTHOR_EMAIL: 'user@example.com',
  GIT_COMMITTER_NAME: 'User',
  GIT_COMMITTER_EMAIL: 'user@example.com',
};
