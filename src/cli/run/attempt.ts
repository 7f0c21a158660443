import { messageOf, aborted } from './deliver.ts';
import { systemClock } from './clock.ts';
import {
  leaveSession,
  makePlaces,
  type Places,
  placesOf,
  readSaved,
  type SavedSession,
  sessionsFolder,
  takeSession,
  writeSaved,
} from './places.ts';
import { sessionApi } from './session-api.ts';
import type { Signals } from './signals.ts';
import type { Spot } from './spot.ts';
import type { Begun } from './start.ts';
import { type Finished, supervise } from './supervise.ts';
import { keepWhileStopped } from './suspend.ts';
import { readSetup } from './setup.ts';
import { syncAll } from './sync-all.ts';

export type AttemptOptions = {
  checkpointEveryTurns: number;
  checkpointEvery: number;
  grace: number;
  resume: boolean;
  /** Set where a spawner has started this. */
  session?: string;
};

/** An attempt that is ready to be started. */
export type Ready = {
  command: string[];
  begun: Begun;
  spot: Spot;
  /** Where the prompt is that it goes on from, if it does. */
  promptFile?: string;
};

export type Attempt = Ready & {
  /** Whether this process begins the next one. */
  goesOn: boolean;
};

/** Bytes that a bundle may have, as the service has it. */
export const maxBundle = (): number =>
  (Number(process.env['DEFIB_MAX_BUNDLE_MB']) || 256) * 1024 * 1024;

/** A `defib sync` that is under way has a session for no longer than this. */
const TAKE_MS = 10_000;

/** What the answer to a start that is under way may take once a signal has asked to end. */
export const ANSWER_MS = 10_000;

/** Looks after one session, from its start to its end. */
export async function runAttempt(
  { command, spot, begun, promptFile, goesOn }: Attempt,
  options: AttemptOptions,
  signals: Signals,
  tell: (text: string) => void,
): Promise<Finished> {
  const { session, moved } = begun;
  const places = placesOf(sessionsFolder(process.env), session.id);
  const ended = new AbortController();
  const unhandle = keepWhileStopped({ url: begun.url, token: begun.token, id: session.id });
  try {
    const saved = await take(places, begun, command);
    tell(greeting(begun));
    // What an earlier run could not send, beside this one.
    void syncAll(sessionsFolder(process.env), ended.signal).catch(() => undefined);
    const job = {
      command,
      cwd: spot.cwd,
      session,
      saved,
      places,
      moved,
      env: agentEnvironment(process.env, promptFile),
      everyTurns: options.checkpointEveryTurns,
      everyMs: options.checkpointEvery * 1000,
      graceMs: options.grace * 1000,
      resume: options.resume,
      goesOn,
      maxBundleBytes: maxBundle(),
    };
    return await supervise(job, { clock: systemClock, tell }, signals);
  } catch (error) {
    // A spawner sees for itself that what it started has ended, and starts it again.
    if (options.session === undefined) await tellFailed(begun, error, signals.hurry, tell);
    throw error;
  } finally {
    unhandle();
    signals.detach();
    ended.abort();
    await leaveSession(places);
  }
}

/** Takes the session for this process, and writes down what a later one must know. */
async function take(places: Places, begun: Begun, command: string[]): Promise<SavedSession> {
  const { session, url, token, worktree } = begun;
  const isFirst = session.attempt === 1 && worktree !== null;
  const setup = isFirst ? await readSetup(worktree) : undefined;
  await makePlaces(places);
  await takeSession(places, TAKE_MS);
  const saved = {
    made: 0,
    commit: null,
    ...(await readSaved(places)),
    id: session.id,
    agentName: session.agentName,
    url,
    token,
    worktree,
    command,
    ...(setup && { setup }),
  };
  await writeSaved(places, saved);
  return saved;
}

/** The work of a session whose command never ran is not resumed: whoever has called knows by now. */
async function tellFailed(
  { session, url, token }: Begun,
  error: unknown,
  hurry: AbortSignal,
  tell: (text: string) => void,
): Promise<void> {
  const summary = `It was not started. ${messageOf(error)}`;
  const told = sessionApi({ url, token, id: session.id })
    .end({ kind: 'finish', outcome: 'failed', summary })
    .catch((cause: unknown) => tell(`The service was not told: ${messageOf(cause)}`));
  await Promise.race([told, aborted(hurry, ANSWER_MS)]);
}

function greeting({ session }: Begun): string {
  const { id, agentName, attempt, deadlineAt } = session;
  const again = attempt > 1 ? `, attempt ${attempt}` : '';
  const limit = deadlineAt === null ? '' : `, until ${deadlineAt}`;
  return `session ${id} of ${agentName}${again}${limit}`;
}

/** The agent acts for its session alone: what else lets one into the service stays with us. */
export function agentEnvironment(
  env: NodeJS.ProcessEnv,
  promptFile: string | undefined,
): NodeJS.ProcessEnv {
  const { DEFIB_TOKEN: _, DEFIB_OPERATOR_TOKEN: __, ...rest } = env;
  return { ...rest, ...(promptFile !== undefined && { DEFIB_PROMPT_FILE: promptFile }) };
}
