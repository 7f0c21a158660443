import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ask } from './run.ts';
import type { Stand } from './stand.ts';
import { standOf } from './stand.ts';

/** How to go on with what is under way, by a file that git keeps for it. */
const GO_ON: readonly (readonly [sign: RegExp, args: readonly string[]])[] = [
  [/^rebase-apply\/applying$/, ['am', '--continue']],
  [/^rebase-(?:merge|apply)\//, ['rebase', '--continue']],
  [/^CHERRY_PICK_HEAD$/, ['cherry-pick', '--continue']],
  [/^REVERT_HEAD$/, ['revert', '--continue']],
  [/^MERGE_HEAD$/, ['commit', '-q', '--no-edit']],
  [/^sequencer\//, ['cherry-pick', '--continue']],
  [/^BISECT_START$/, ['bisect', 'skip']],
];

const MAX_STEPS = 4;

export function isUnderWay(stand: Stand): boolean {
  return commandOf(stand) !== null;
}

function commandOf(stand: Stand): readonly string[] | null {
  const names = [...stand.operation.keys()];
  return GO_ON.find(([sign]) => names.some((name) => sign.test(name)))?.[1] ?? null;
}

/** Finishes what is under way, and returns what each step answered and how it stands then. */
export function goOn(repo: string): { codes: number[]; stand: Stand } {
  const codes: number[] = [];
  let stand = standOf(repo);
  for (let n = 0; n < MAX_STEPS; n += 1) {
    const command = commandOf(stand);
    if (command === null) break;
    codes.push(ask(repo, ['add', '-u']).code, ask(repo, command).code);
    stand = standOf(repo);
  }
  return { codes, stand };
}

/** As {@link goOn}, on a copy, which is removed. */
export function goOnInCopy(repo: string, root: string): { codes: number[]; stand: Stand } {
  const copy = join(root, 'copy');
  cpSync(repo, copy, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  try {
    return goOn(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
