import type { DefibError, Session } from '../../client/index.ts';
import { type AgentWatch, watchAgent } from './agent.ts';
import { createAutosave } from './autosave.ts';
import { type Beats, startBeats } from './beats.ts';
import type { Capture } from '../../services/git/capture-types.ts';
import { markOf } from '../../process-list.ts';
import { type Child, type Exit, startChild } from './child.ts';
import { atMost, type Clock, createJumpWatch, createLimit, type Limit } from './clock.ts';
import { createDelivery, type Delivery } from './deliver.ts';
import { type Ended, exitCodeOf, statusOf, type Stop, stopText, triggerOf } from './ending.ts';
import { leaveBehind } from './leave.ts';
import { createOutbox, type Outbox } from './outbox.ts';
import type { Places, SavedSession } from './places.ts';
import { report } from './report.ts';
import { createSaves, type Saves } from './saves.ts';
import { type BeatAnswer, type SessionApi, sessionApi } from './session-api.ts';
import { type Signals, Stopped } from './signals.ts';

export type Job = {
  command: string[];
  /** The folder that it is started in. */
  cwd: string;
  /** What the agent inherits, without anything of the session. */
  env: NodeJS.ProcessEnv;
  session: Session;
  saved: SavedSession;
  places: Places;
  /** Where it is worked on, if the service does not know that yet. */
  moved: { host: string; worktree: string | null } | undefined;
  everyTurns: number;
  everyMs: number;
  graceMs: number;
  resume: boolean;
  /** Whether the next attempt is begun by this very process. */
  goesOn: boolean;
  maxBundleBytes: number;
};

/** How an attempt came to its end. */
export type Finished = {
  /** The exit code. */
  code: number;
  ended: Ended;
  /** Undefined: it was ended by the service, or by who took over. */
  status: Session['status'] | undefined;
  /** The service knows all of it. */
  sent: boolean;
  /** The worktree as it was saved last. */
  capture: Capture | undefined;
  /** Processes of it that could not be ended. */
  left: number[];
};

export type Tools = { clock: Clock; tell: (text: string) => void };

const TICK_MS = 500;
/** What looking for calls that are under way may take. */
const HOLD_MS = 2000;
/** What saving may take at the time limit, beside the grace that the agent has. */
const SAVE_MS = 10_000;
const FLUSH_EVERY_MS = 5000;

/** What the parts of one supervisor share. */
type Run = {
  job: Job;
  tools: Tools;
  tell: Tools['tell'];
  api: SessionApi;
  outbox: Outbox;
  saves: Saves;
  delivery: Delivery;
  agent: AgentWatch;
  limit: Limit;
  /** From the start of the command on. */
  beats: Beats | undefined;
  /** The session was ended by its own word, such as an agent's that has a tool for it. */
  settled: Session['status'] | undefined;
  /** Processes that could not be ended. */
  left: number[];
  stop: (stop: Stop) => void;
  stopped: Promise<Stop>;
};

/**
 * Runs the command as one session: beats, saves, obeys, and ends it in time. A signal that has come
 * already ends it before the command is started.
 *
 * @throws CliError `no_command`: it was not started, and the service has heard nothing of it
 */
export async function supervise(job: Job, tools: Tools, signals: Signals): Promise<Finished> {
  const run = openRun(job, tools);
  const survive = (error: Error): void => tools.tell(`Something went wrong: ${error.stack}`);
  // An error that nobody waits for, such as of a connection, must not leave the agent alone.
  process.on('uncaughtException', survive);
  try {
    const { exit, stop } = await work(run, signals);
    const { resume, goesOn } = job;
    const ended = { exit, stop, interrupted: signals.interrupted(), resume, goesOn };
    const sent = await report(run, ended, run.settled !== undefined, signals.hurry);
    run.beats?.stop();
    const status = run.settled ?? statusOf(ended);
    const completed = status === 'completed';
    await leaveBehind(job.saved, job.places, { sent, completed, tell: tools.tell });
    const { left } = run;
    return { code: exitCodeOf(ended), ended, status, sent, capture: run.saves.last(), left };
  } finally {
    run.beats?.stop();
    process.off('uncaughtException', survive);
  }
}

type End = Pick<Ended, 'exit' | 'stop'>;

/** Starts the command, and looks after it until it has ended. */
async function work(run: Run, { ending, attach }: Signals): Promise<End> {
  if (ending.aborted) return notStarted(run, ending.reason);
  const child = await startAgent(run.job);
  attach(child);
  const onEnding = (): void => run.stop({ why: 'signal', signal: signalIn(ending.reason) });
  if (ending.aborted) onEnding();
  else ending.addEventListener('abort', onEnding);
  let ticks: NodeJS.Timeout | undefined;
  try {
    // It goes on until the end of the session is told, which may take a while.
    run.beats = beatFor(run);
    ticks = setInterval(tickerOf(run, run.beats), TICK_MS);
    return await untilEnd(run, child);
  } catch (error) {
    run.tools.tell(`Something went wrong: ${(error as Error).stack}`);
    return { exit: await endOf(run, child, run.job.graceMs), stop: undefined };
  } finally {
    clearInterval(ticks);
  }
}

const signalIn = (reason: unknown): NodeJS.Signals =>
  reason instanceof Stopped ? reason.signal : 'SIGTERM';

/** What there is in the worktree is saved and told as ever, so that whoever goes on has it. */
function notStarted({ tools }: Run, reason: unknown): End {
  const signal = signalIn(reason);
  tools.tell(`${signal}: the agent is not started.`);
  const exit = { code: new Stopped(signal).exitCode, signal };
  return { exit, stop: { why: 'signal', signal, before: true } };
}

const startAgent = ({ command, cwd, env, saved, places }: Job): Promise<Child> =>
  startChild(command, {
    cwd,
    env: {
      ...env,
      // Some agents go by it.
      PWD: cwd,
      DEFIB_URL: saved.url,
      DEFIB_SESSION_ID: saved.id,
      DEFIB_SESSION_TOKEN: saved.token,
      DEFIB_SESSION_DIR: places.agent,
    },
    mark: markOf(saved.id),
  });

function openRun(job: Job, tools: Tools): Run {
  const { saved, places } = job;
  const { tell } = tools;
  const { promise: stopped, resolve: stop } = Promise.withResolvers<Stop>();
  const api = sessionApi(saved);
  const outbox = createOutbox(places.outbox);
  const agent = watchAgent(places.agent, job.session.turn ?? 0);
  const saves = createSaves({
    session: saved,
    places,
    outbox,
    maxBundleBytes: job.maxBundleBytes,
    turn: agent.turns,
    readReasoning: agent.readReasoning,
    tell,
  });
  const limit = createLimit(tools.clock, job.graceMs + SAVE_MS);
  const delivery = createDelivery({
    api,
    outbox,
    tell,
    onRefused: (error) => void refused(run, error),
    makeWhole: saves.makeWhole,
  });
  const run: Run = {
    job,
    tools,
    tell,
    api,
    outbox,
    saves,
    delivery,
    agent,
    limit,
    stop,
    stopped,
    beats: undefined,
    settled: undefined,
    left: [],
  };
  return run;
}

/** Of a session that its own agent has finished, the agent may come to its end in peace. */
async function refused(run: Run, error: DefibError): Promise<void> {
  const session = await run.api.read().catch(() => undefined);
  const ofItsOwn = session && session.endReason === session.status;
  if (ofItsOwn && ['completed', 'failed', 'cancelled'].includes(session.status)) {
    if (!run.settled) run.tools.tell(`The session was ended by its own word: ${session.status}.`);
    run.settled = session.status;
  } else {
    run.stop({ why: 'refused', error });
  }
}

function beatFor(run: Run): Beats {
  const { job, tools, api, agent, limit } = run;
  const { startedAt, deadlineAt } = job.session;
  // Until the first answer: what was said when the session was started, which was just now.
  if (startedAt) limit.learn({ now: startedAt, deadlineAt }, tools.clock.monotonic());
  let place = job.moved;
  return startBeats({
    api,
    now: tools.clock.monotonic,
    tell: tools.tell,
    body: () => ({
      turn: agent.turns(),
      ...(place && { host: place.host, ...(place.worktree && { worktree: place.worktree }) }),
    }),
    onAnswer: (answer, askedAt) => {
      place = undefined;
      limit.learn(answer, askedAt);
      obey(run, answer);
    },
    onRefused: (error) => void refused(run, error),
  });
}

function obey({ stop, saves, delivery }: Run, { directives }: BeatAnswer): void {
  for (const { type, reason } of directives) {
    if (type === 'checkpoint') void saves.save('directive').then(delivery.flush);
    else stop({ why: 'directive', type, reason });
  }
}

/** What is looked at again and again while the agent works. */
function tickerOf(run: Run, beats: Beats): () => void {
  const { job, tools, agent, saves, delivery, outbox, limit } = run;
  const { monotonic: now } = tools.clock;
  const jumped = createJumpWatch(tools.clock);
  const { everyTurns, everyMs } = job;
  const onSaved = () => void delivery.flush();
  const autosave = createAutosave({ agent, saves, everyTurns, everyMs, now, onSaved });
  let flushAt = now();
  return () => {
    // After a sleep the lease may be over, and what is known of the limit is wrong.
    if (jumped()) beats.now();
    if (limit.left() <= 0) run.stop({ why: 'limit' });
    if (run.settled) return;
    autosave();
    if (now() < flushAt || outbox.size() === 0) return;
    flushAt = now() + FLUSH_EVERY_MS;
    void delivery.flush();
  };
}

/** Until the command has ended, by itself or by us; and everything it started, where by us. */
async function untilEnd(run: Run, child: Child): Promise<End> {
  const { job, tools, saves, delivery, limit, agent } = run;
  const exited = child.exited.then((exit) => ({ exit, stop: undefined }));
  const first = await Promise.race([exited, run.stopped]);
  if ('exit' in first) {
    // What it left in the background would work beside the next attempt.
    if (job.goesOn && first.exit.code !== 0) await endOf(run, child, job.graceMs);
    return first;
  }
  tools.tell(stopText(first));
  const hasLimit = first.why === 'limit';
  await atMost(HOLD_MS, agent.holdOpenCalls());
  if (first.why !== 'refused') {
    // From then on the work is on this disk; sending it goes on while the agent has its grace.
    await atMost(hasLimit ? limit.margin() / 2 : SAVE_MS, saves.save(triggerOf(first)));
    void delivery.flush();
  }
  const graceMs = hasLimit ? Math.min(job.graceMs, limit.margin() / 2) : job.graceMs;
  return { exit: await endOf(run, child, graceMs), stop: first };
}

async function endOf(run: Run, child: Child, graceMs: number): Promise<Exit> {
  run.left = await child.end(graceMs);
  if (run.left.length === 0) return await child.exited;
  run.tools.tell(`These processes could not be ended: ${run.left.join(', ')}.`);
  return KILLED;
}

/** Of a process that the kernel does not let go of. */
const KILLED = { code: 137, signal: 'SIGKILL' } as const;
