import type { Session } from '../../db/schema.ts';

const REASONS: Record<string, string> = {
  lease_expired: 'it fell silent and its lease ran out',
  deadline_passed: 'it reached its time limit',
  never_started: 'it never made its first heartbeat',
};

/**
 * The text that a new attempt begins with. Pure: the same chain gives the same text. Earlier prompts
 * are not in it; each attempt is one line.
 *
 * @param chain the attempts, first to last; the last is the one that reads this
 */
export function continuationPrompt(chain: Session[]): string {
  const current = chain.at(-1);
  if (!current) throw new Error('a chain has at least one session');
  const earlier = chain.slice(0, -1);
  return [heading(current, earlier), facts(current, earlier), attempts(earlier), CLOSING]
    .filter((section) => section !== '')
    .join('\n\n')
    .concat('\n');
}

const CLOSING =
  'Continue from here; do not start over. First look at the state of the working tree, then go on with what is left.';

function heading(current: Session, earlier: Session[]): string {
  const previous = earlier.at(-1);
  if (!previous) return `# ${current.objective}`;
  return [
    `# Continue: ${current.objective}`,
    `This is attempt ${current.attempt}. Attempt ${previous.attempt} ended because ${why(previous)}.`,
  ].join('\n\n');
}

function facts(current: Session, earlier: Session[]): string {
  const previous = earlier.at(-1);
  const rows = [
    ['Repository', current.repo],
    ['Issue', current.issue_url],
    ['Branch', current.branch],
    ['Worktree of the last attempt', previous?.worktree ?? null],
    // The branch exists once there is a checkpoint.
    [
      'Checkpoint branch of the last attempt',
      previous?.latest_checkpoint_id ? previous.checkpoint_branch : null,
    ],
    ['Last turn', previous?.turn?.toString() ?? null],
    ['Last note', previous?.note ?? null],
  ];
  return rows.flatMap(([name, value]) => (value ? [`- ${name}: ${value}`] : [])).join('\n');
}

function attempts(earlier: Session[]): string {
  if (earlier.length < 2) return '';
  const lines = earlier.map(
    (session) => `- Attempt ${session.attempt}: ended because ${why(session)}`,
  );
  return ['## Earlier attempts', ...lines].join('\n');
}

function why({ end_reason: reason }: Session): string {
  return REASONS[reason ?? ''] ?? `it was interrupted: ${reason ?? 'no reason was given'}`;
}
