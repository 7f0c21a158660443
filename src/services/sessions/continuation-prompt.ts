import type { Place } from '../../contract/place.ts';
import type { SessionStatus } from '../../db/schema.ts';
import type { Reasoning } from '../checkpoints/reasoning.ts';
import type { DiffStat } from '../git/diff.ts';
import { plural } from '../plural.ts';
import { fitSections } from './prompt-sections.ts';
import type { Section } from './prompt-sections.ts';
import { byteLength, code, item, line, PROMPT_BEGIN, PROMPT_END, quote } from './prompt-text.ts';

/** Times are ISO 8601. */
export type Attempt = {
  attempt: number;
  status: SessionStatus;
  endReason: string | null;
  summary: string | null;
  note: string | null;
  turn: number | null;
  worktree: string | null;
  startedAt: string | null;
  endedAt: string | null;
};

export type CurrentAttempt = {
  attempt: number;
  objective: string;
  repo: string | null;
  issueUrl: string | null;
  branch: string | null;
  /** The folder that this attempt works in, where it is known. */
  worktree: string | null;
  /** What that is to the worktree of the attempt before; null: nobody has said. */
  place: Place | null;
};

export type SavedWork = {
  number: number;
  attempt: number;
  sessionId: string;
  createdAt: string;
  /** The checkpoint branch. */
  branch: string;
  /** Null: the reasoning alone was saved. */
  commit: string | null;
  /** What HEAD was at; null before the first commit. */
  head: string | null;
  /** Null: HEAD was detached. */
  headBranch: string | null;
  /** What was under way: `merge`, `rebase`, … */
  operation: string | null;
  trigger: string;
  durability: 'local' | 'stored' | 'pushed';
  /** It came after its attempt had ended. */
  late: boolean;
  reasoning: Reasoning | null;
  changes: { staged: DiffStat; unstaged: DiffStat } | null;
  notCaptured: { path: string; reason: string }[];
  warnings: string[];
};

/** Whether the work was put into a worktree. Null: it was not tried. */
export type Restored = { worktree: string; ok: boolean } | { refused: string } | null;

export type ContinuationInput = {
  current: CurrentAttempt;
  /** The attempts before it, first to last. */
  earlier: Attempt[];
  checkpoint: SavedWork | null;
  restored: Restored;
};

export const DEFAULT_PROMPT_BYTES = 32 * 1024;
/** What the parts that are never cut need, and a few lines of each of the others. */
export const MIN_PROMPT_BYTES = 8 * 1024;

/**
 * The Markdown that a new attempt begins with: why the last one ended, what it knew, where its work is
 * and what is left. The same input gives the same text. Text of agents is quoted and cannot leave its
 * place; earlier prompts in it are left out. What does not fit is cut, and says so.
 *
 * @param maxBytes of UTF-8, never exceeded; at least {@link MIN_PROMPT_BYTES}
 */
export function continuationPrompt(
  input: ContinuationInput,
  maxBytes = DEFAULT_PROMPT_BYTES,
): string {
  if (maxBytes < MIN_PROMPT_BYTES) {
    throw new RangeError(`a continuation prompt needs at least ${MIN_PROMPT_BYTES} bytes`);
  }
  const top = [PROMPT_BEGIN, heading(input), opening(input), whereabouts(input)].join('\n\n');
  const bottom = `${closing(input)}\n\n${PROMPT_END}\n`;
  const rest = maxBytes - byteLength(top) - byteLength(bottom) - 2;
  return [top, ...fitSections(sectionsOf(input), rest), bottom].join('\n\n');
}

const isFresh = ({ earlier, checkpoint }: ContinuationInput) =>
  earlier.length === 0 && checkpoint === null;

function heading(input: ContinuationInput): string {
  const { attempt } = input.current;
  return isFresh(input) ? `# Begin: attempt ${attempt}` : `# Continue: attempt ${attempt}`;
}

function opening(input: ContinuationInput): string {
  const last = input.earlier.at(-1);
  return [...(last ? [`${ending(last)}.`] : []), saved(input)].join('\n\n');
}

const REASONS: Record<string, string> = {
  lease_expired: 'it fell silent and its lease ran out',
  deadline_passed: 'it reached its time limit',
  never_started: 'it never made its first heartbeat',
};

function ending(attempt: Attempt): string {
  const { endReason, turn } = attempt;
  const said = endReason === null ? 'no reason was given' : `“${line(endReason, 300)}”`;
  const why = REASONS[endReason ?? ''] ?? `it was interrupted: ${said}`;
  const when = [
    ...(turn === null ? [] : [`turn ${turn}`]),
    ...(attempt.endedAt ? [minuteOf(attempt.endedAt)] : []),
    ...durationOf(attempt),
  ];
  const details = when.length > 0 ? ` (${when.join(', ')})` : '';
  return `Attempt ${attempt.attempt} ended because ${why}${details}`;
}

const minuteOf = (iso: string) => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;

function durationOf({ startedAt, endedAt }: Attempt): string[] {
  if (!startedAt || !endedAt) return [];
  const seconds = Math.round((Date.parse(endedAt) - Date.parse(startedAt)) / 1000);
  if (seconds < 120) return [`after ${seconds} s`];
  return [
    seconds < 7200
      ? `after ${Math.round(seconds / 60)} min`
      : `after ${Math.round(seconds / 3600)} h`,
  ];
}

function saved({ current, earlier, checkpoint, restored }: ContinuationInput): string {
  if (!checkpoint) {
    if (earlier.length === 0) return 'This is the first attempt.';
    return 'No checkpoint was saved: what was done is only where that attempt left it, if it is still there.';
  }
  const which = `checkpoint ${checkpoint.number} of attempt ${checkpoint.attempt}`;
  const later = earlier.filter(({ attempt }) => attempt > checkpoint.attempt).length;
  return [
    checkpoint.commit === null
      ? `Of the work, only the reasoning is saved, in ${which}: its files are where that attempt left them, if they are still there.`
      : `The work is saved in ${which}${later > 0 ? '; later attempts saved no files' : ''}.`,
    ...(checkpoint.late ? ['It came in late, after that attempt had ended.'] : []),
    ...(checkpoint.reasoning
      ? []
      : ['No reasoning was saved with it: what was done is in the diff.']),
    ...(checkpoint.commit === null ? [] : [restoration(checkpoint, current, restored)]),
  ].join(' ');
}

function restoration(checkpoint: SavedWork, { place }: CurrentAttempt, restored: Restored): string {
  if (place === 'same') {
    return 'You work in the same worktree, where it lies as it was left: what was staged is staged.';
  }
  if (place !== null || isRestored(restored)) {
    return `It is restored in your worktree, ${KINDS[place ?? 'clone']}, and checked byte for byte: what was staged is staged.`;
  }
  return `${whyNot(restored).replace(/\.$/, '')}. ${howToGet(checkpoint)}`;
}

/** Whether the saved work is where the next attempt begins. */
const isAtHand = ({ current, restored }: ContinuationInput): boolean =>
  current.place !== null || isRestored(restored);

const KINDS = {
  worktree: 'a `git worktree` of the same repository with a branch of its own',
  clone: 'a clone of its own',
};

const isRestored = (restored: Restored) =>
  restored !== null && 'worktree' in restored && restored.ok;

function whyNot(restored: Restored): string {
  if (restored === null) return 'It has **not** been put into a worktree';
  if ('refused' in restored) return `It was **not** restored: ${line(restored.refused, 300)}`;
  return 'Restoring it was begun and **not** finished';
}

function howToGet({ durability, branch, sessionId }: SavedWork): string {
  if (durability === 'pushed') {
    return `Get it with ${code(`git fetch <remote> ${branch}`, 300)}, from the remote for checkpoints.`;
  }
  return `Get it with ${code(`defib restore ${sessionId}`, 100)}.`;
}

const DURABILITY = {
  local: 'in the repository of the last worktree only',
  stored: 'in the store',
  pushed: 'pushed to the remote',
};

/** Short facts, all of them needed: never cut. */
function whereabouts(input: ContinuationInput): string {
  const { current, earlier, checkpoint, restored } = input;
  const worktree = restored && 'worktree' in restored ? restored.worktree : current.worktree;
  const lastWorktree = earlier.at(-1)?.worktree ?? null;
  const rows: [string, string | null][] = [
    ['Repository', current.repo && code(current.repo, 200)],
    ['Issue', current.issueUrl && `<${line(current.issueUrl, 300)}>`],
    ['Your worktree', worktree && code(worktree, 400)],
    ['Worktree of the last attempt', lastWorktree && code(lastWorktree, 400)],
    [
      'Branch',
      checkpoint?.commit ? headOf(checkpoint) : current.branch && code(current.branch, 255),
    ],
    ['Checkpoint', checkpoint?.commit ? placeOf(checkpoint, checkpoint.commit) : null],
    ['Under way', checkpoint?.operation ? underWay(checkpoint.operation, isAtHand(input)) : null],
  ];
  const shown = rows.flatMap(([name, value]) => (value ? [`- ${name}: ${value}`] : []));
  return ['## Where things are', shown.join('\n') || '- Nothing is known.'].join('\n\n');
}

function headOf({ head, headBranch }: SavedWork): string {
  const base = head === null ? 'without a commit' : `at ${code(head, 64)}`;
  return headBranch === null
    ? `none, HEAD was detached ${base}`
    : `${code(headBranch, 255)} ${base}`;
}

function placeOf(checkpoint: SavedWork, commit: string): string {
  const { branch, durability, createdAt, trigger } = checkpoint;
  const cause = `${minuteOf(createdAt)}, ${line(trigger, 60)}`;
  return `${code(commit, 64)} on ${code(branch, 255)}, ${DURABILITY[durability]} (${cause})`;
}

function underWay(operation: string, isThere: boolean): string {
  const begun = `a **${line(operation, 20)}** had been begun and not ended.`;
  return isThere
    ? `${begun} It stands as it did: see \`git status\`, and end or abort it before you commit anything else.`
    : `${begun} Only \`defib restore\` brings it back as it stood.`;
}

function sectionsOf(input: ContinuationInput): Section[] {
  const { current, earlier, checkpoint } = input;
  const last = earlier.at(-1);
  const { reasoning = null, changes = null, notCaptured = [], warnings = [] } = checkpoint ?? {};
  const known: Reasoning = reasoning ?? {};
  const own = known.objective === current.objective ? undefined : known.objective;
  const sections = [
    unknownCalls(known),
    text('Objective', 1, current.objective),
    text(`The objective as attempt ${checkpoint?.attempt} saw it`, 8, own),
    text('Approach', 7, known.approach),
    decisions(known),
    list('Done', 5, (known.done ?? []).filter(isSaid).map(entry), 'step'),
    list('Remaining', 4, (known.remaining ?? []).filter(isSaid).map(entry), 'step'),
    text('Next step', 2, known.nextStep),
    list('Open questions', 9, (known.openQuestions ?? []).filter(isSaid).map(entry), 'question'),
    text('Last note', 3, last?.note),
    text('Summary of the last attempt', 3, last?.summary),
    stat('Staged', 11, changes?.staged),
    stat('Not staged', 11, changes?.unstaged),
    list('Not captured', 10, notCaptured.map(missing), 'path', NOT_CAPTURED),
    list('Warnings of the checkpoint', 12, warnings.map(entry), 'warning'),
    list('Earlier attempts', 13, earlier.slice(0, -1).map(attemptLine), 'attempt'),
    text('End of the transcript', 14, known.transcriptTail, 'end'),
  ];
  return sections.flat();
}

const MAX_ENTRY = 800;
const isSaid = (said: string) => said.trim() !== '';
const entry = (said: string) => item(said, MAX_ENTRY);

function text(
  title: string,
  priority: number,
  content: string | null | undefined,
  keep: 'start' | 'end' = 'start',
): Section[] {
  const quoted = quote(content ?? '');
  return quoted === '' ? [] : [{ title, priority, body: { quote: quoted, keep } }];
}

function list(
  title: string,
  priority: number,
  entries: string[],
  noun: string,
  intro?: string,
): Section[] {
  if (entries.length === 0) return [];
  return [{ title, priority, ...(intro && { intro }), body: { entries, noun } }];
}

const UNKNOWN_CALLS =
  'These were begun and nobody saw them end: each may have happened wholly, in part or not at all. Verify first what it did; never repeat it blindly.';
const NOT_CAPTURED = 'These were in the worktree and are not in the checkpoint.';

function unknownCalls({ pendingToolCalls = [] }: Reasoning): Section[] {
  const entries = pendingToolCalls.map(({ tool, input, startedAt }) => {
    const when = startedAt === undefined ? '' : `, begun ${code(startedAt, 40)}`;
    const what = input === undefined ? '' : `: ${code(JSON.stringify(input), 500)}`;
    return `- ${code(tool, 100)}${when}${what}`;
  });
  return list('Outcome unknown: verify first', 0, entries, 'call', UNKNOWN_CALLS);
}

function decisions({ decisions: made = [] }: Reasoning): Section[] {
  const entries = made.map(({ what, why }) => entry(why ? `${what}\nWhy: ${why}` : what));
  return list('Decisions', 6, entries, 'decision');
}

function stat(title: string, priority: number, diff: DiffStat | undefined): Section[] {
  if (!diff || diff.files.length === 0) return [];
  const entries = diff.files.map(
    (file) =>
      `- ${code(file.path, 300)}${file.binary ? ' binary' : ` +${file.insertions} −${file.deletions}`}`,
  );
  const sum = `${plural(diff.files.length, 'file')}, +${diff.insertions} −${diff.deletions}`;
  return list(`${title}: ${sum}`, priority, entries, 'file');
}

function missing({ path, reason }: { path: string; reason: string }): string {
  return `- ${code(path, 300)}: ${line(reason, 200)}`;
}

function attemptLine(attempt: Attempt): string {
  const said = attempt.summary ?? attempt.note;
  return `- ${ending(attempt)}${said ? `. “${line(said, 200)}”` : ''}`;
}

function closing(input: ContinuationInput): string {
  if (isFresh(input)) {
    return '## Now\n\nThere is nothing to continue from. Begin with the objective.';
  }
  const { checkpoint } = input;
  const calls = (checkpoint?.reasoning?.pendingToolCalls ?? []).length;
  const steps = [
    ...(checkpoint?.commit && !isAtHand(input) ? ['Get the saved work, as told at the top.'] : []),
    'Look at the state of the worktree (`git status`, `git diff`), and compare it with what is said above.',
    ...(calls > 0 ? ['Find out what each call of unknown outcome did.'] : []),
    'Go on with the next step, then with what remains. What is done stays done.',
    'It is finished when the objective is reached and the work is committed in your worktree. Push it only where that was asked for, or where the branch is pushed to a remote already.',
  ];
  const numbered = steps.map((step, n) => `${n + 1}. ${step}`).join('\n');
  return `## Now\n\nContinue from here; do not start over.\n\n${numbered}`;
}
