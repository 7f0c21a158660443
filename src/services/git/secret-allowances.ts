import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitOptions } from './git.ts';
import { git, gitText, splitNul } from './git.ts';
import type { SecretFinding } from './secrets.ts';

/** What is no secret after all, as the operator says. */
export type Allowances = {
  /** Patterns of paths, as in a `.gitignore`. */
  allow: readonly string[];
  /** Rules that no repository's own list frees anything of; `*`: of none. */
  never: readonly string[];
};

/** The list of a repository, as secretlint reads it: patterns of paths. */
const LIST = '.secretlintignore';
const MAX_LIST_BYTES = 64 * 1024;

export type AllowanceOptions = {
  privateDir: string;
  commit: string;
  /** Commits on branches of the receiver that are no checkpoints. */
  landed: readonly string[];
  allowances: Allowances;
  /** A folder for this call alone. */
  scratch: string;
  signal?: AbortSignal;
};

/**
 * The findings that neither the operator allows nor the repository. The repository's list counts as the
 * receiver has it, where people have looked at it: what is in the worktree anybody may have changed.
 */
export async function withoutAllowed(
  findings: readonly SecretFinding[],
  options: AllowanceOptions,
): Promise<SecretFinding[]> {
  const { allow, never } = options.allowances;
  const left = await withoutMatching(findings, allow.join('\n'), options);
  const open = left.filter(({ rule }) => !never.includes('*') && !never.includes(rule));
  const list = open.length > 0 ? await listOf(options) : undefined;
  if (list === undefined) return left;
  const still = new Set(await withoutMatching(open, list, options));
  return left.filter((finding) => !open.includes(finding) || still.has(finding));
}

/** Git tells what a pattern matches, in a process of its own: a pattern may be made to take for ever. */
async function withoutMatching(
  findings: readonly SecretFinding[],
  patterns: Buffer | string,
  { scratch, signal }: AllowanceOptions,
): Promise<SecretFinding[]> {
  if (findings.length === 0 || patterns.length === 0) return [...findings];
  const folder = join(scratch, 'allowances');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'patterns'), patterns);
  const repo: GitOptions = { cwd: folder, signal, timeoutMs: 20_000 };
  await git(['init', '--quiet', '--template='], repo);
  const { stdout } = await git(['check-ignore', '--no-index', '--verbose', '-z', '--stdin'], {
    ...repo,
    config: [['core.excludesFile', join(folder, 'patterns')]],
    stdin: findings.map(({ path }) => `${path}\0`).join(''),
    okCodes: [1],
  });
  const fields = splitNul(stdout).map(String);
  const allowed = new Set<string>();
  for (let at = 0; at + 3 < fields.length; at += 4) {
    if (!fields[at + 2]?.startsWith('!')) allowed.add(fields[at + 3] ?? '');
  }
  return findings.filter(({ path }) => !allowed.has(path));
}

/** The list in the newest commit of ours that has landed: a regular file of a sane size. */
async function listOf(options: AllowanceOptions): Promise<Buffer | undefined> {
  const { privateDir: gitDir, signal, commit, landed } = options;
  const repo: GitOptions = { gitDir, signal };
  const known = await knownCommits(landed, repo);
  if (known.length === 0) return undefined;
  const base = await git(['merge-base', commit, ...known], { ...repo, okCodes: [1] });
  const at = base.stdout.toString('latin1').trim();
  if (at === '') return undefined;
  const entry = await gitText(['ls-tree', '--long', at, '--', LIST], repo);
  const [, oid, size] = /^100\d{3} blob ([0-9a-f]+) +(\d+)\t/.exec(entry) ?? [];
  if (oid === undefined || Number(size) > MAX_LIST_BYTES) return undefined;
  return (await git(['cat-file', 'blob', oid], repo)).stdout;
}

/** As many as one command takes. */
const MAX_COMMITS = 1000;

async function knownCommits(commits: readonly string[], repo: GitOptions): Promise<string[]> {
  if (commits.length === 0) return [];
  const { stdout } = await git(['cat-file', '--batch-check=%(objectname) %(objecttype)'], {
    ...repo,
    stdin: `${commits.join('\n')}\n`,
  });
  const lines = stdout.toString('latin1').split('\n');
  return lines
    .filter((line) => line.endsWith(' commit'))
    .map((line) => line.split(' ')[0] ?? '')
    .slice(0, MAX_COMMITS);
}
