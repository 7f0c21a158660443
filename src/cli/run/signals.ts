import { constants } from 'node:os';
import { CliError } from '../frame/errors.ts';
import type { Child } from './child.ts';

/** Passed on to the command, which decides what they mean. */
const FORWARDED: NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];
/** From these on, the work is saved and the agent stopped. */
const ENDING: NodeJS.Signals[] = ['SIGTERM', 'SIGHUP'];
/** Sent by keys to everything on the terminal, the command included. */
const BY_KEY = new Set<NodeJS.Signals>(['SIGINT', 'SIGQUIT']);

/** The first signal that asked to end, before anything was begun. */
export class Stopped extends CliError {
  readonly signal: NodeJS.Signals;
  readonly exitCode: number;

  constructor(signal: NodeJS.Signals) {
    super('stopped', `${signal}: nothing was started.`);
    this.signal = signal;
    this.exitCode = 128 + constants.signals[signal];
  }
}

export type Signals = {
  /** Aborted, with a {@link Stopped}, by the first signal that asks to end. Nothing is begun after it. */
  ending: AbortSignal;
  /** Aborted once nobody wants to wait any longer. */
  hurry: AbortSignal;
  /** Whether the agent was interrupted from the keyboard. */
  interrupted(): boolean;
  /** Names the agent, which then gets what is its own. */
  attach(child: Child): void;
  /** Forgets the agent, which has ended: from now on Ctrl-C asks to end, as before there was one. */
  detach(): void;
};

/**
 * Handles the signals to this process, for the rest of its life. It is called before anything is begun: a
 * signal that is not handled ends the process, and leaves what it began alone.
 */
export function handleSignals(): Signals {
  const ending = new AbortController();
  const hurry = new AbortController();
  let interrupted = false;
  let agent: { child: Child; isNew: boolean; hasEnded: boolean } | undefined;
  const early: NodeJS.Signals[] = [];

  const end = (signal: NodeJS.Signals): void => {
    // Who asks twice does not want to wait.
    if (ending.signal.aborted) void agent?.child.end(0);
    if (ending.signal.aborted || agent?.hasEnded) hurry.abort();
    ending.abort(new Stopped(signal));
  };
  const forward = (signal: NodeJS.Signals): void => {
    if (!agent) return void early.push(signal);
    // What came before it was there has not reached it from the terminal either.
    const hasIt = agent.child.onTerminal && BY_KEY.has(signal) && !agent.isNew;
    if (!hasIt) agent.child.signal(signal);
  };
  const handle = (signal: NodeJS.Signals): void => {
    if (ENDING.includes(signal)) return end(signal);
    if (signal === 'SIGINT') {
      if (!agent) return end(signal);
      interrupted = true;
      // There is nobody left to interrupt but us.
      if (agent.hasEnded) hurry.abort();
    }
    forward(signal);
  };
  for (const signal of [...FORWARDED, ...ENDING]) process.on(signal, handle);

  return {
    ending: ending.signal,
    hurry: hurry.signal,
    interrupted: () => interrupted,
    attach(child) {
      interrupted = false;
      const its = { child, isNew: true, hasEnded: false };
      agent = its;
      early.forEach(forward);
      // By then what was on its way while it was started has been handled.
      setImmediate(() => (its.isNew = false));
      void child.exited.then(() => (its.hasEnded = true));
    },
    detach() {
      agent = undefined;
      early.length = 0;
    },
  };
}
