/** `npm run roundtrip`: the same recorded roundtrip by every contender, in one run. */
import { writeFile } from 'node:fs/promises';
import { contenderNames, needsRedis } from '../contenders/index.ts';
import { describeMachine } from '../measure/machine.ts';
import type { Report } from '../measure/report.ts';
import { toJson, toMarkdown } from '../measure/report.ts';
import { startShared } from '../servers/shared.ts';
import { interruptSignal } from './interrupt.ts';
import type { Options } from './options.ts';
import { USAGE, parseOptions } from './options.ts';
import { runTournament } from './tournament.ts';

const say = (line: string): void => console.error(line);

function optionsOrExit(): Options {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    say(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return process.exit(2);
  }
}

async function measure(options: Options, interrupt: AbortSignal): Promise<Report> {
  await using resources = new AsyncDisposableStack();
  const { folder, postgres, redis } = await startShared(resources);
  if (redis === undefined) say('No redis-server in the PATH and no REDIS_URL: left out.');
  const wanted = options.only ?? contenderNames();
  const names = wanted.filter((name) => redis !== undefined || !needsRedis(name));
  const versions = { PostgreSQL: postgres.version, Redis: redis?.version ?? 'none' };
  const machine = describeMachine(folder, versions);
  const arena = { postgres, redisUrl: redis?.url, folder, interrupt, say };
  return { machine, ...(await runTournament(arena, names, options.plan)) };
}

const options = optionsOrExit();
const interrupt = interruptSignal();
const report = await measure(options, interrupt);
if (interrupt.aborted) {
  say('Interrupted: everything that was started is stopped.');
  process.exitCode = 130;
} else {
  console.log(toMarkdown(report));
  if (options.json !== undefined) await writeFile(options.json, `${toJson(report)}\n`);
  if (report.rows.some((row) => row.failures.length > 0)) process.exitCode = 1;
}
