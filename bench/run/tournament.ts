import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../host/open.ts';
import { openHost } from '../host/open.ts';
import type { Figures } from '../measure/contender.ts';
import { measureContender } from '../measure/contender.ts';
import type { Plan } from '../measure/plan.ts';
import { mostCallers, orderOf } from '../measure/plan.ts';
import type { Row } from '../measure/report.ts';
import { acrossRounds } from '../measure/stats.ts';
import type { PostgresServer } from '../servers/postgres.ts';

export type Arena = {
  postgres: PostgresServer;
  redisUrl: string | undefined;
  folder: string;
  interrupt: AbortSignal;
  say(line: string): void;
};

type Outcome = { about: Host['about'] | undefined; figures: Figures[]; failures: string[] };

/** Every contender once a round, one at a time, so that noise of the machine hits all alike. */
export async function runTournament(
  arena: Arena,
  names: string[],
  plan: Plan,
): Promise<{ rows: Row[]; rounds: number }> {
  const outcomes = new Map<string, Outcome>(
    names.map((name) => [name, { about: undefined, figures: [], failures: [] }]),
  );
  const started = performance.now();
  let rounds = 0;
  while (rounds < plan.rounds && !arena.interrupt.aborted) {
    const elapsed = performance.now() - started;
    if (rounds > 0 && elapsed + elapsed / rounds > plan.budgetMs) break;
    for (const name of orderOf(names, rounds)) {
      const outcome = outcomes.get(name);
      if (outcome !== undefined && !arena.interrupt.aborted) {
        await playOnce(arena, name, rounds, plan, outcome);
      }
    }
    rounds += 1;
  }
  return { rows: [...outcomes].map(([name, outcome]) => toRow(name, outcome)), rounds };
}

async function playOnce(
  arena: Arena,
  name: string,
  round: number,
  plan: Plan,
  outcome: Outcome,
): Promise<void> {
  arena.say(`round ${round + 1}: ${name}`);
  try {
    await play(arena, name, round, plan, outcome);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (arena.interrupt.aborted) return;
    arena.say(`round ${round + 1}: ${name} failed: ${reason}`);
    outcome.failures.push(reason.split('\n')[0] ?? '');
  }
}

/** A fresh database, folder and process for each; none of them outlives the round. */
async function play(
  arena: Arena,
  name: string,
  round: number,
  plan: Plan,
  outcome: Outcome,
): Promise<void> {
  await using cleanUp = new AsyncDisposableStack();
  const key = `${name}-${round + 1}`;
  const workDir = join(arena.folder, key);
  await mkdir(workDir, { mode: 0o755 });
  const databaseUrl = await arena.postgres.createDatabase(key);
  cleanUp.defer(() => arena.postgres.dropDatabase(key));
  const { redisUrl } = arena;
  const context = { databaseUrl, redisUrl, workDir, concurrency: mostCallers(plan) };
  const host = await openHost(name, context, arena.interrupt);
  cleanUp.defer(host.stop);
  outcome.about = host.about;
  outcome.figures.push(await measureContender(host, plan));
}

function toRow(name: string, { about, figures, failures }: Outcome): Row {
  const callers = [...(figures[0]?.keys() ?? [])];
  const levels = new Map(
    callers.map((count) => [
      count,
      acrossRounds(figures.flatMap((round) => round.get(count) ?? [])),
    ]),
  );
  return { name, title: about?.title ?? name, access: about?.access, levels, failures };
}
