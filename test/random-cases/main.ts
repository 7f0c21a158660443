import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { RowResult, RowTask } from './row.ts';
import { type Backend, type Place, startService } from './service.ts';

const USAGE = `npm run random-cases -- [options]

Random repositories and random work in them, through the real service: checkpoints, the end of the session, its
resume. What was restored is compared with what was there.

  --cases N     how many (100)
  --seed N      the seed of the first case, each next one has the next (a random one, printed)
  --seconds N   begin no case after that time
  --beside N    how many cases run side by side (4)
  --redis       on Redis with a web process and two workers, else "npm start" with its embedded PostgreSQL`;

const number = { type: 'string' } as const;
const { values } = parseArgs({
  options: {
    cases: number,
    seed: number,
    seconds: number,
    beside: number,
    redis: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit();
}

function whole(name: 'cases' | 'seed' | 'seconds' | 'beside', fallback: number): number {
  const value = values[name];
  if (value === undefined) return fallback;
  if (/^\d{1,10}$/.test(value)) return Number(value);
  console.error(`--${name} must be a whole number.\n\n${USAGE}`);
  process.exit(2);
}

const options = {
  cases: whole('cases', 100),
  seed: whole('seed', Math.floor(Math.random() * 2 ** 31)),
  seconds: whole('seconds', Number.POSITIVE_INFINITY),
  beside: Math.max(1, whole('beside', 4)),
};
const backend: Backend = values.redis ? 'redis' : 'embedded';
console.log(`${backend}: up to ${options.cases} cases from seed ${options.seed} on`);

/** So many cases were begun; set beyond their number, no more are. */
const next = new Int32Array(new SharedArrayBuffer(4));
const stop = () => void Atomics.store(next, 0, options.cases);
process.once('SIGINT', stop);
process.once('SIGTERM', stop);

const service = await startService(backend);
try {
  await runAll(service.place);
} finally {
  await service.stop();
}

async function runAll(place: Place): Promise<void> {
  const { seed, cases } = options;
  let failures = 0;
  const began = performance.now();
  const endMs = Date.now() + options.seconds * 1000;
  let done = 0;
  let checkpoints = 0;
  const add = (result: RowResult) => {
    done += 1;
    checkpoints += result.checkpoints;
    if (result.wrong.length > 0) {
      failures += 1;
      report(result);
    }
    if (done % 50 === 0) console.log(`${done} cases, ${failures} failed`);
  };
  const row = async (n: number) => {
    const name = `random-${n + 1}`;
    const workerData: RowTask = { name, place, seed, cases, endMs, next: next.buffer };
    const thread = new Worker(new URL('./row.ts', import.meta.url), { workerData });
    thread.on('message', add);
    await once(thread, 'exit');
  };
  await Promise.all(Array.from({ length: options.beside }, (_, n) => row(n)));
  const seconds = Math.round((performance.now() - began) / 1000);
  const counts = `${done} cases, ${checkpoints} checkpoints, ${failures} failed`;
  console.log(`${backend}, from seed ${seed} on: ${counts}, ${seconds} s`);
  if (failures > 0) process.exitCode = 1;
}

function report({ seed, wrong, log }: RowResult): void {
  const lines = wrong.map((text) => `\n  ${text.slice(0, 600)}`).join('');
  const again = `--seed ${seed} --cases 1${values.redis ? ' --redis' : ''}`;
  console.log(`failed: ${again}\n  ${log.join(' ')}${lines}`);
}
