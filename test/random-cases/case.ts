import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { NotCaptured } from '../../src/services/git/vet.ts';
import { ask } from '../services/git/second/kit.ts';
import type { Service } from './service.ts';
import {
  type Agent,
  claim,
  expire,
  finish,
  finishedRunsOf,
  interrupt,
  list,
  runsOf,
  sendCheckpoint,
  type Session,
  startSession,
} from './session.ts';
import { type RandomWork, randomWork } from './work.ts';

/** `store` is a folder that outlives the cases. */
export type Case = { seed: number; agent: Agent; store: string };
export type Outcome = { wrong: string[]; checkpoints: number; log: string[] };

/**
 * Runs one case through the service, from the start of a session to the prune after its successor's success, and
 * returns what went wrong, in words.
 */
export async function runCase(service: Service, { seed, agent, store }: Case): Promise<Outcome> {
  const root = mkdtempSync(join(service.work, 'case-'));
  const outcome: Outcome = { wrong: [], checkpoints: 0, log: [] };
  const remove = [root];
  try {
    const work = randomWork(root, seed, store);
    outcome.log = work.log;
    outcome.wrong = await runIn(service, agent, { seed, work, remove, outcome });
  } catch (error) {
    await giveUp(service, agent);
    const cause = error instanceof Error && error.cause ? ` (${String(error.cause)})` : '';
    outcome.wrong = [`${error instanceof Error ? error.message : String(error)}${cause}`];
  } finally {
    for (const path of remove) {
      execFileSync('chmod', ['-R', 'u+rwX', path]);
      rmSync(path, { recursive: true, force: true, maxRetries: 10 });
    }
  }
  return outcome;
}

/** Nothing of a case that failed may be claimed by the next one of its agent. */
async function giveUp({ database }: Service, agent: Agent): Promise<void> {
  const text = `UPDATE sessions SET status = 'failed', ended_at = coalesce(ended_at, now()),
    resume_at = NULL WHERE agent_name = $1 AND (ended_at IS NULL OR resume_at IS NOT NULL)`;
  await database.query(text, [agent.name]);
}

type Course = { seed: number; work: RandomWork; remove: string[]; outcome: Outcome };

async function runIn(service: Service, agent: Agent, course: Course): Promise<string[]> {
  const { seed, work, remove } = course;
  const first = await startSession(service, agent, work.repo, `case ${seed}`);
  const said = await saveAll(service, first, course);
  work.change(work.checkpoints);
  work.remember();
  const interrupted = work.rng.chance(0.5);
  await (interrupted ? interrupt(service, first) : expire(service, first));
  work.log.push(interrupted ? '[interrupted]' : '[silent]');
  const second = await claim(service, agent);
  if (second.session.resumedFrom !== first.id) return ['claimed the session of another case'];
  const worktree: string | null = second.session.worktree;
  if (worktree !== null) remove.push(worktree);

  const wrong = work.sourceChanges().map((row) => `source: ${row}`);
  // Its last word saves what it left; so does the watch for one that fell silent.
  const calls = said.length + 1;
  const after = await afterClaim(service, first, { successor: second.session.id, said, calls });
  wrong.push(...after.wrong);
  const last = said.at(-1) ?? '';
  if (!second.continuation.includes(last)) wrong.push(`the continuation does not say "${last}"`);
  const { warnings, notCaptured } = after;
  if (worktree === null) wrong.push(`no worktree was restored: ${warnings.join(' ')}`);
  else {
    const found = work.differences({ worktree, warnings, notCaptured });
    wrong.push(...found.map((row) => `restored: ${row}`));
  }
  await finish(service, second.session.id, second.token);
  return [...wrong, ...(await isPruned(service, first, work.repo, agent))];
}

/** Sends the checkpoints, with changes before each; returns what each said. */
async function saveAll(
  service: Service,
  session: Session,
  { seed, work, outcome }: Course,
): Promise<string[]> {
  const { rng, log } = work;
  const said: string[] = [];
  for (let n = 0; n < work.checkpoints; n += 1) {
    work.change(n);
    const text = `case ${seed}, turn ${n + 1}`;
    const request = { key: `${seed}-${n}`, said: text, turn: n + 1, async: rng.chance(0.5) };
    const saved = await work.send(n, () => sendCheckpoint(service, session, request));
    if (rng.chance(0.25)) {
      const { id } = await sendCheckpoint(service, session, request);
      if (id !== saved.id) throw new Error('the same call again made another checkpoint');
    }
    said.push(text);
    log.push(`[${said.length}]`);
    outcome.checkpoints += 1;
  }
  return said;
}

type Expected = { successor: string; said: readonly string[]; calls: number };
type After = { wrong: string[]; warnings: string[]; notCaptured: NotCaptured[] };

/** One run for each call and the last save, all of them over and none an error; one successor; all that was said. */
async function afterClaim(
  service: Service,
  first: Session,
  { successor, said, calls }: Expected,
): Promise<After> {
  const found: string[] = [];
  const runs = await runsOf(service, 'checkpoint', first.id);
  if (runs.length !== calls) found.push(`${runs.length} checkpoint runs instead of ${calls}`);
  for (const run of runs) {
    if (run.finishedAt === null || run.status === 'error') {
      found.push(`a checkpoint run is ${run.status}: ${run.errors.join(' ')}`);
    }
  }
  const resumes = await finishedRunsOf(service, 'resume', successor);
  for (const run of resumes) {
    if (run.status === 'error') found.push(`a resume run is error: ${run.errors.join(' ')}`);
  }
  const chain = await list(service, `/api/sessions?rootId=${first.id}&limit=100`);
  const successors = chain.filter(({ resumedFrom }) => resumedFrom === first.id);
  if (successors.length !== 1) found.push(`${successors.length} successors`);
  const checkpoints = await list(service, `/api/sessions/${first.id}/checkpoints?limit=100`);
  for (const text of said) {
    const count = checkpoints.filter(({ reasoning }) => reasoning?.done?.includes(text)).length;
    if (count !== 1) found.push(`${count} checkpoints say "${text}"`);
  }
  const warnings = resumes.flatMap((run) => run.warnings as string[]);
  return { wrong: found, warnings, notCaptured: checkpoints.at(-1)?.notCaptured ?? [] };
}

/** After success no branch of ours is left in the source, but one whose result could be stored nowhere else. */
async function isPruned(
  service: Service,
  first: Session,
  repo: string,
  agent: Agent,
): Promise<string[]> {
  const runs = await finishedRunsOf(service, 'prune', first.id);
  const out = ask(repo, 'for-each-ref', `refs/heads/checkpoint/${agent.name}`);
  const kept = runs.some(({ warnings }) => /kept in the branch/.test(warnings.join()));
  const left = out === '' || kept ? [] : [`left after the prune: ${out}`];
  const wrong = runs.filter(({ status }) => status === 'error');
  return [...left, ...wrong.map(({ errors }) => `a prune run is error: ${errors.join(' ')}`)];
}
