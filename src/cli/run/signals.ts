import type { Child } from './child.ts';

/** Passed on to the command, which decides what they mean. */
const FORWARDED: NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];
/** From these on, the work is saved and the agent stopped. */
const ENDING: NodeJS.Signals[] = ['SIGTERM', 'SIGHUP'];
/** Sent by keys to everything on the terminal, the command included. */
const BY_KEY = new Set<NodeJS.Signals>(['SIGINT', 'SIGQUIT']);

/**
 * Handles the signals to this process while a command runs.
 *
 * @returns puts things back as they were
 */
export function handleSignals(
  child: Child,
  on: { interrupt: () => void; end: (signal: NodeJS.Signals) => void },
): () => void {
  const handle = (signal: NodeJS.Signals): void => {
    if (ENDING.includes(signal)) return on.end(signal);
    if (signal === 'SIGINT') on.interrupt();
    if (!child.onTerminal || !BY_KEY.has(signal)) child.signal(signal);
  };
  const all = [...FORWARDED, ...ENDING];
  for (const signal of all) process.on(signal, handle);
  return () => {
    for (const signal of all) process.off(signal, handle);
  };
}
