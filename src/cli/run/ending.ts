import type { DefibError, Session } from '../../client/index.ts';
import type { Exit } from './child.ts';
import type { EndEntry } from './outbox.ts';

/** Why the agent is stopped before it ends by itself. */
export type Stop =
  | { why: 'limit' }
  /** `before`: the agent was not started any more. */
  | { why: 'signal'; signal: NodeJS.Signals; before?: true }
  | { why: 'directive'; type: 'cancel' | 'stop'; reason: string }
  | { why: 'refused'; error: DefibError };

/** What `defib run` exits with where it is not what the command exited with. */
export const EXIT = {
  /** As timeout(1) does it. */
  limit: 124,
  refused: 90,
  directive: 91,
} as const;

export type Ended = {
  exit: Exit;
  /** Undefined: it ended by itself. */
  stop: Stop | undefined;
  /** Ctrl-C was pressed. */
  interrupted: boolean;
  /** Whether work that did not succeed may be gone on with by another attempt. */
  resume: boolean;
  /** Whether that is begun by this very process, where nobody asked it to stop. */
  goesOn: boolean;
};

/** What the service is told of the end; undefined where it has ended the session itself. */
export function endEntry(ended: Ended): EndEntry | undefined {
  const { exit, stop, interrupted, resume, goesOn } = ended;
  if (stop?.why === 'refused') return undefined;
  if (stop?.why === 'directive' && stop.type === 'cancel') {
    return { kind: 'finish', outcome: 'cancelled', summary: stop.reason };
  }
  if (!stop && exit.code === 0) return { kind: 'finish', outcome: 'completed' };
  const byKey = stop?.why === 'signal' && stop.signal === 'SIGINT';
  // The key's signal goes to both, and the agent may be gone before ours is heard.
  const heard = interrupted || exit.signal === 'SIGINT';
  if (byKey || (!stop && heard && exit.code === 130)) {
    // Whoever sits at the terminal has decided.
    return { kind: 'finish', outcome: 'cancelled', summary: 'Ctrl-C' };
  }
  const reason = reasonOf(exit, stop);
  const asked = stop?.why === 'signal' || stop?.why === 'directive';
  if (resume) return { kind: 'interrupt', reason, ...(goesOn && !asked && { goesOn }) };
  return { kind: 'finish', outcome: 'failed', summary: reason };
}

/** What becomes of the session by that; undefined where others have decided it. */
export function statusOf(ended: Ended): Session['status'] | undefined {
  const entry = endEntry(ended);
  return entry?.kind === 'finish' ? entry.outcome : entry && 'interrupted';
}

function reasonOf(exit: Exit, stop: Stop | undefined): string {
  // The service's own word for it.
  if (stop?.why === 'limit') return 'deadline_passed';
  if (stop?.why === 'signal') {
    const when = stop.before ? ' before the agent was started' : '';
    return `its supervisor got ${stop.signal}${when}`;
  }
  if (stop?.why === 'directive') return stop.reason;
  return exit.signal === null
    ? `its command ended with code ${exit.code}`
    : `its command was ended by ${exit.signal}`;
}

export function exitCodeOf({ exit, stop }: Pick<Ended, 'exit' | 'stop'>): number {
  return stop === undefined || stop.why === 'signal' ? exit.code : EXIT[stop.why];
}

/** The name of the checkpoint that is made at the end. */
export const triggerOf = (stop: Stop | undefined): string =>
  stop === undefined ? 'exit' : stop.why === 'signal' ? stop.signal.toLowerCase() : stop.why;

export function stopText(stop: Stop): string {
  switch (stop.why) {
    case 'limit':
      return 'The time limit is near: the work is saved and the agent stopped.';
    case 'signal':
      return `${stop.signal}: the work is saved and the agent stopped.`;
    case 'directive':
      return `The service asks to ${stop.type} (${stop.reason}): the work is saved and the agent stopped.`;
    case 'refused':
      return `This session is over, and the agent is stopped: ${stop.error.message}`;
  }
}
