import { simpleGit } from 'simple-git';
import type { DiffResult } from 'simple-git';
import { AppError } from '../../errors.ts';
import { EMPTY_TREE } from './differences.ts';
import { gitEnvironment, streamGit } from './git.ts';
import { requireOid } from './names.ts';

/*
 * What a checkpoint changed, for people. Here simple-git serves: its parsed diffstat is text for a prompt
 * or a page, and no name in it goes back to git.
 */

export type DiffStat = {
  files: { path: string; insertions: number; deletions: number; binary: boolean }[];
  insertions: number;
  deletions: number;
};

export type ChangeSummary = {
  /** HEAD to index. */
  staged: DiffStat;
  /** Index to worktree, with untracked files. */
  unstaged: DiffStat;
};

/** Nothing of .gitmodules is asked, which may be broken. */
const EXACT = ['--no-renames', '--ignore-submodules=none'];

export type DiffOptions = { privateDir: string; commit: string; signal?: AbortSignal };

/** Diffstat of a checkpoint: what was staged, and what was not. */
export async function summarizeChanges(
  options: DiffOptions & { head: string | null; index: string },
): Promise<ChangeSummary> {
  const head = options.head ?? EMPTY_TREE[options.commit.length === 64 ? 'sha256' : 'sha1'];
  const [staged, unstaged] = await Promise.all([
    statBetween(head, options.index, options),
    statBetween(options.index, options.commit, options),
  ]);
  return { staged, unstaged };
}

async function statBetween(from: string, to: string, options: DiffOptions): Promise<DiffStat> {
  const range = [...EXACT, requireOid('A commit', from), requireOid('A commit', to)];
  try {
    return toStat(await open(options).diffSummary(range));
  } catch (cause) {
    throw new AppError('internal', 'The changes of the checkpoint could not be summarised.', {
      cause,
    });
  }
}

function toStat(result: DiffResult): DiffStat {
  return {
    insertions: result.insertions,
    deletions: result.deletions,
    files: result.files.map((file) => ({
      path: file.file,
      insertions: file.binary ? 0 : file.insertions,
      deletions: file.binary ? 0 : file.deletions,
      binary: file.binary,
    })),
  };
}

/**
 * A file above this counts as binary. Comparing two texts takes many times their size in memory, and
 * nobody reads what has changed in so large a one.
 */
const FOR_PEOPLE = [['core.bigFileThreshold', '4m']] as const;

/** simple-git refuses variables that could make git run programs. Ours are those that keep it from doing so. */
function open({ privateDir, signal }: DiffOptions) {
  const env = gitEnvironment({ gitDir: privateDir, config: FOR_PEOPLE });
  return simpleGit({
    baseDir: privateDir,
    timeout: { block: 60_000 },
    ...(signal ? { abort: signal } : {}),
    allowEnvironment: Object.keys(env),
    unsafe: {
      allowUnsafeAskPass: true,
      allowUnsafeConfigEnvCount: true,
      allowUnsafeConfigPaths: true,
      allowUnsafeCredentialHelper: true,
      allowUnsafeEditor: true,
      allowUnsafeFsMonitor: true,
      allowUnsafeHooksPath: true,
      allowUnsafePager: true,
      allowUnsafeProtocolOverride: true,
      allowUnsafeSshCommand: true,
    },
  }).env(env);
}

/** The patch from one commit to another, cut off after `maxBytes`. */
export async function patchBetween(
  options: DiffOptions & { from: string; maxBytes: number },
): Promise<{ patch: Buffer; complete: boolean }> {
  const args = ['diff', '--no-color', '--no-ext-diff', '--no-textconv', ...EXACT];
  const range = [requireOid('A commit', options.from), requireOid('A commit', options.commit)];
  const chunks: Buffer[] = [];
  let size = 0;
  const where = { gitDir: options.privateDir, signal: options.signal, config: FOR_PEOPLE };
  const { code } = await streamGit([...args, ...range], where, (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    return size <= options.maxBytes;
  });
  const complete = size <= options.maxBytes;
  if (complete && code !== 0) throw new AppError('internal', `git diff failed with code ${code}.`);
  return { patch: Buffer.concat(chunks).subarray(0, options.maxBytes), complete };
}
