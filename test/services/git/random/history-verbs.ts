import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Verb } from './plan.ts';
import { ask } from './run.ts';

const BRANCHES = ['main', 'side', 'topic', 'tracks-ignored', 'v1', 'HEAD~1', 'linked'];
const pick = <T>(list: readonly T[], n: number): T => list[n % list.length] as T;
const git =
  (choose: (n: number) => readonly (string | Buffer)[], env?: Record<string, string>): Verb =>
  ({ repo }, _, n) =>
    void ask(repo, choose(n), env ? { env } : {});

/** Stops a rebase where the sequence editor put a break, beside where it stops by itself. */
const STOPS = [
  "sed -i -e '1a break'",
  "sed -i -e '3a break'",
  "sed -i -e 's/^pick/edit/'",
  'true',
  "sed -i -e '$a break'",
];

const ODD_NAMES: readonly (string | Buffer)[] = [
  'checkpoint',
  'checkpoints/mine',
  Buffer.from([...Buffer.from('odd-'), 0xff, 0xe9]),
  'ü/ß',
  `long/${'x'.repeat(200)}/${'y'.repeat(200)}`,
  '-dash',
  'a"quote',
  'with;semi$dollar',
];

/** What moves HEAD, branches and other refs, and what leaves an operation half way. */
export const HISTORY_VERBS: Record<string, Verb> = {
  commit: git((n) => ['commit', '-q', '--allow-empty', ...(n % 2 ? ['-a'] : []), '-m', `c${n}`]),
  amend: git(() => ['commit', '-q', '--amend', '--allow-empty', '-m', 'amended']),
  branch: git((n) => ['checkout', '-q', ...(n % 2 ? ['-f'] : []), '-B', `b${n % 4}`]),
  switch: git((n) => ['checkout', '-q', '-f', pick(BRANCHES, n)]),
  switchSoftly: git((n) => ['checkout', '-q', '-m', pick(BRANCHES, n)]),
  detach: git((n) => ['checkout', '-q', '--detach', ...(n % 2 ? ['-f', 'side'] : [])]),
  orphan: git(() => ['checkout', '-q', '--orphan', 'orphan']),
  reset: git((n) => ['reset', '-q', pick(['--soft', '--mixed', '--hard'], n), 'HEAD~1']),
  merge: git((n) => [
    'merge',
    '-q',
    ...pick([[], ['--no-commit', '--no-ff'], ['--squash']], n),
    pick(BRANCHES, n),
  ]),
  octopus: git(() => ['merge', '-q', '--no-commit', 'side', 'tracks-ignored']),
  pull: git((n) => ['pull', '-q', n % 2 ? '--rebase' : '--no-rebase', 'origin', 'side']),
  cherryPick: git((n) => [
    'cherry-pick',
    pick(['side', 'topic~3..topic', 'topic~1', 'side~1'], n),
    ...(n % 3 ? [] : ['-n']),
  ]),
  revert: git((n) => ['revert', '--no-edit', pick(['HEAD', 'HEAD~1', 'HEAD~2..HEAD', 'side'], n)]),
  rebase: git((n) => [
    'rebase',
    '-q',
    ...pick([[], ['--apply'], ['--autostash'], ['-X', 'ours']], n),
    pick(['side', 'main', 'topic'], n),
  ]),
  rebaseMerges: ({ repo }, _, n) => {
    if (n % 2 === 0) ask(repo, ['checkout', '-q', '-f', 'topic']);
    const env = { GIT_SEQUENCE_EDITOR: pick(STOPS, n) };
    ask(
      repo,
      ['rebase', '-q', '-i', '-r', ...(n % 3 ? [] : ['--autostash']), pick(['main', 'side'], n)],
      { env },
    );
  },
  am: ({ repo }, _, n) => {
    const patch = ask(repo, ['format-patch', '--stdout', '-2', pick(['side', 'topic', 'main'], n)]);
    ask(repo, ['am', '-q', ...(n % 2 ? ['-3'] : [])], { input: Buffer.from(patch.out, 'latin1') });
  },
  bisect: ({ repo }, _, n) => {
    ask(repo, [
      'bisect',
      'start',
      ...(n % 4 === 0 ? ['--term-old', 'fine', '--term-new', 'broken'] : []),
    ]);
    if (n % 3 === 0) return;
    ask(repo, ['bisect', n % 4 === 0 ? 'broken' : 'bad', 'HEAD']);
    ask(repo, ['bisect', n % 4 === 0 ? 'fine' : 'good', 'HEAD~3']);
    if (n % 5 === 0) ask(repo, ['bisect', 'skip']);
  },
  goOn: ({ repo }, _, n) => {
    const verb = pick(['rebase', 'cherry-pick', 'revert', 'am', 'merge'], n);
    if (n % 2) ask(repo, ['add', '-u']);
    ask(repo, [verb, pick(['--continue', '--continue', '--abort', '--quit', '--skip'], n >> 1)]);
  },
  stash: git((n) =>
    pick(
      [
        ['stash', '-q'],
        ['stash', '-q', '-u'],
        ['stash', '-q', '-k'],
        ['stash', 'pop', '-q'],
        ['stash', 'apply', '-q', '--index'],
      ],
      n,
    ),
  ),
  ref: ({ repo }, _, n) => {
    const name = pick(ODD_NAMES, n);
    const space = pick(['refs/heads/', 'refs/tags/', 'refs/notes/', 'refs/custom/'], n >> 1);
    ask(repo, ['update-ref', Buffer.concat([Buffer.from(space), Buffer.from(name)]), 'HEAD']);
  },
  onOddBranch: ({ repo }, _, n) => {
    const name = Buffer.concat([Buffer.from('refs/heads/'), Buffer.from(pick(ODD_NAMES, n))]);
    ask(repo, ['update-ref', name, 'HEAD']);
    ask(repo, ['symbolic-ref', 'HEAD', name]);
  },
  symref: git(() => ['symbolic-ref', 'refs/heads/alias', 'refs/heads/side']),
  worktreeRef: git(() => ['update-ref', 'refs/worktree/own', 'HEAD']),
  pseudo: git((n) => ['update-ref', pick(['ORIG_HEAD', 'AUTO_MERGE', 'MY_HEAD'], n), 'HEAD']),
  deleteBranch: git((n) => ['branch', '-q', '-D', pick(BRANCHES, n)]),
  notes: git((n) => ['notes', 'add', '-f', '-m', `note ${n}`]),
  replaceRef: git(() => ['replace', '-f', 'HEAD~1', 'HEAD~2']),
  pack: git((n) =>
    pick(
      [
        ['pack-refs', '--all'],
        ['gc', '-q'],
        ['gc', '-q', '--prune=now'],
        ['repack', '-q', '-a', '-d'],
      ],
      n,
    ),
  ),
  prune: git((n) =>
    pick(
      [
        ['prune', '--expire=now'],
        ['reflog', 'expire', '--expire=now', '--all'],
      ],
      n,
    ),
  ),
  fetch: git(() => ['fetch', '-q', '--all']),
  hook: ({ repo }) => {
    const hooks = join(repo, '.git/hooks');
    mkdirSync(hooks, { recursive: true });
    if (readdirSync(hooks).length > 20) return;
    for (const name of [
      'post-index-change',
      'reference-transaction',
      'pre-commit',
      'post-checkout',
    ]) {
      writeFileSync(join(hooks, name), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    }
  },
};
