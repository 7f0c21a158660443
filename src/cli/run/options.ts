import { type Command, InvalidArgumentError } from 'commander';
import { wholeNumber } from '../frame/pages.ts';
import type { ChainOptions } from './chain.ts';
import { NoCommand } from './child.ts';
import type { NextOptions } from './next-command.ts';
import { handleSignals, type Signals, Stopped } from './signals.ts';

/** What can be said of how work is looked after, whether it begins or goes on. */
export type RunOptions = ChainOptions & NextOptions;

export const withRunOptions = (command: Command): Command =>
  command
    .option('--checkpoint-every-turns <n>', 'save after so many turns', wholeNumber, 1)
    .option('--checkpoint-every <seconds>', 'save so often, if something changed', wholeNumber, 60)
    .option('--grace <seconds>', 'between SIGTERM and SIGKILL', seconds, 10)
    .option('--attempts <n>', 'make so many attempts here at most', wholeNumber)
    .option('--resume-with <command>', 'how to go on: a command with {promptFile} or {prompt}')
    .option('--rerun', 'go on by running the same command again')
    .option('--no-resume', 'end as failed, not to be resumed, where the command fails', true);

function seconds(text: string): number {
  if (!/^\d{1,5}(\.\d+)?$/.test(text)) throw new InvalidArgumentError('It must be a number.');
  return Number(text);
}

/** Runs work that signals may end, and exits with its code. */
export async function withSignals(
  tell: (text: string) => void,
  work: (signals: Signals) => Promise<number>,
): Promise<void> {
  const signals = handleSignals();
  try {
    process.exitCode = await work(signals);
  } catch (error) {
    if (!(error instanceof NoCommand || error instanceof Stopped)) throw error;
    tell(error.message);
    process.exitCode = error.exitCode;
  }
  // A call that is still under way is of no use any more. To cut it off by its signal can throw, out of
  // reach of whoever waits for it.
  process.exit();
}
