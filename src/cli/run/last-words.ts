import { DefibError } from '../../client/index.ts';
import type { Result } from '../../contract/result.ts';
import { messageOf } from './deliver.ts';
import type { Ready } from './attempt.ts';
import type { Finished } from './supervise.ts';
import { Stopped } from './signals.ts';

export type LastWords = {
  ready: Ready;
  finished: Finished;
  /** Whether it is known how the command of a further attempt is made. */
  hasNext: boolean;
  /** What kept the next attempt from being begun here; undefined: it was not tried. */
  why: unknown;
  /** Where the result of completed work is, as far as the service has said. */
  result?: Result | null | undefined;
};

/** What happened, what is saved where, who goes on, and what to type: one line each. */
export function lastWords(words: LastWords): string[] {
  const { finished, ready } = words;
  const { status, sent } = finished;
  const { worktree } = ready.spot;
  const where = worktree === null ? '' : ` The work is in ${worktree}.`;
  if (status === 'completed') return [`Completed.${where}`, ...resultLine(words)];
  if (status === 'failed' || status === 'cancelled') {
    return [`Ended as ${status}; nothing goes on by itself.${where}`];
  }
  if (!sent || status === undefined) return [];
  return [`Saved in ${savedIn(words)}.${where}`, goesOn(words)];
}

function resultLine({ ready, result }: LastWords): string[] {
  if (!result || result.state === 'none') return [];
  const { begun, spot } = ready;
  const { state, branch, head, filesChanged } = result;
  const at = `${branch ?? 'HEAD'} at ${head?.slice(0, 12) ?? 'no commit'}`;
  const text = {
    landed: `${at} is on a remote`,
    committed: `committed on ${at}, on no remote yet`,
    uncommitted: `${changed(filesChanged ?? 0)}, not committed`,
  }[state];
  const isElsewhere = spot.place === 'worktree' || spot.place === 'clone';
  const bring = isElsewhere && state !== 'landed';
  const how = bring ? ` To have it in your own worktree: defib bring ${begun.session.id}` : '';
  return [`Result: ${text}.${how}`];
}

const changed = (files: number): string => `${files} changed file${files === 1 ? '' : 's'}`;

function savedIn({ ready, finished }: LastWords): string {
  const files = finished.capture?.filesChanged;
  const count = files === undefined ? '' : `, with ${changed(files)}`;
  return `session ${ready.begun.session.id}${count}`;
}

function goesOn({ ready, finished, hasNext, why }: LastWords): string {
  const { id, attempt } = ready.begun.session;
  const resume = `defib resume ${id}`;
  if (why instanceof Stopped) return `${why.signal}: stopped. To go on: ${resume}`;
  if (why instanceof DefibError) return `Not gone on with here: ${why.message}`;
  if (why !== undefined) return `Not gone on with here: ${messageOf(why)} To try again: ${resume}`;
  if (!hasNext) {
    const hint = `${resume} --resume-with 'my-agent {promptFile}'`;
    return `It waits, unless the agent's policy says who goes on. To go on: ${hint}, or --rerun for the same command again; "defib run" takes both too.`;
  }
  if (ready.spot.worktree !== null && !finished.capture) {
    return `Its files could not be saved, so nothing goes on here by itself. To go on: ${resume}`;
  }
  return `Attempt ${attempt} was the last one here. To go on: ${resume}`;
}
