import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Checkpoint } from '../checkpoint.ts';
import { readObjects, STATE } from '../checkpoint.ts';
import type { GitOptions } from '../git.ts';
import { git } from '../git.ts';
import { displayPath } from '../names.ts';
import { copyPlain } from '../plain-file.ts';
import { asText, isOwnRef, parseRefs, type Ref, REF_FORMAT } from '../ref-list.ts';
import type { Repository } from '../repository.ts';
import { writeTags } from '../tag-objects.ts';
import { restoreHead } from './head.ts';

/** Refs of other worktrees' operations, which a source lists as its own. */
const OF_SOURCE = /^refs\/(?:bisect|worktree|rewritten)\//;

/**
 * Gives the new repository the branches, tags, remote branches, stash and all other refs that the checkpoint
 * holds, and puts HEAD where it stood. Those of the first format have no list: theirs are taken from the source.
 * (In a repository of its own no branch is checked out elsewhere, so the agent goes on where it was.)
 */
export async function restoreRefs(
  checkpoint: Checkpoint,
  source: Repository | null,
  options: GitOptions,
): Promise<string[]> {
  const { state, stateCommit } = checkpoint;
  const names = [STATE.refs, STATE.stashLog, STATE.tags, STATE.headTarget];
  const [list, stash, tags, target] = await readObjects(
    names.map((name) => `${stateCommit}:${name}`),
    options,
  );
  if (tags) await writeTags(tags, options.gitDir ?? '');
  const refs = state.version === 1 ? await refsOf(source, options) : parseRefs(list ?? EMPTY);
  const head = target ?? (state.branch === null ? null : Buffer.from(`refs/heads/${state.branch}`));
  const wanted = refs.filter(({ name }) => !isOwnRef(name) && !(head && name.equals(head)));
  const left = await createRefs(wanted, options);
  if (stash) await writeLog(stash, options);
  else if (source && state.version === 1) await copyStashLog(source, options);
  return [...named(left), ...(await restoreHead(checkpoint, head, options))];
}

const EMPTY = Buffer.alloc(0);

async function refsOf(source: Repository | null, { signal }: GitOptions): Promise<Ref[]> {
  if (!source) return [];
  const args = ['for-each-ref', `--format=${REF_FORMAT}`];
  const { stdout } = await git(args, { gitDir: source.gitDir, signal });
  return parseRefs(stdout).filter(({ name }) => !OF_SOURCE.test(name.toString('latin1')));
}

/** Creates what can be created, and returns the rest: objects may be missing, a name may be refused here. */
async function createRefs(refs: Ref[], options: GitOptions): Promise<Ref[]> {
  if (refs.length === 0) return [];
  const { stdout } = await git(['cat-file', '--batch-check=%(objectname)'], {
    ...options,
    stdin: refs.map((ref) => `${ref.oid}\n`).join(''),
  });
  const found = stdout.toString('latin1').split('\n');
  const isMissing = (n: number): boolean => (found[n] ?? 'missing').endsWith('missing');
  const present = refs.filter((_, n) => !isMissing(n));
  const missing = refs.filter((_, n) => isMissing(n));
  const refused = await createAll(
    present.filter((ref) => ref.symref === null),
    options,
  );
  for (const ref of present.filter(({ symref }) => symref !== null)) {
    if (!(await createSymbolic(ref, options))) refused.push(ref);
  }
  return [...missing, ...refused];
}

/** One ref that git refuses fails all of them: then they are halved until it stands alone. */
async function createAll(refs: Ref[], options: GitOptions): Promise<Ref[]> {
  if (refs.length === 0) return [];
  const stdin = Buffer.concat(
    refs.flatMap(({ name, oid }) => [Buffer.from('create '), name, Buffer.from(`\0${oid}\0`)]),
  );
  const args = ['update-ref', '-z', '--stdin'];
  const { code } = await git(args, { ...options, stdin, okCodes: [1, 128] });
  if (code === 0) return [];
  if (refs.length === 1) return refs;
  const half = Math.ceil(refs.length / 2);
  return [
    ...(await createAll(refs.slice(0, half), options)),
    ...(await createAll(refs.slice(half), options)),
  ];
}

async function createSymbolic({ name, symref }: Ref, options: GitOptions): Promise<boolean> {
  const [from, to] = [asText(name), symref && asText(symref)];
  if (!from?.startsWith('refs/') || !to?.startsWith('refs/')) return false;
  const { code } = await git(['symbolic-ref', from, to], { ...options, okCodes: [1, 128] });
  return code === 0;
}

const MAX_NAMED = 20;

function named(left: readonly Ref[]): string[] {
  if (left.length === 0) return [];
  const names = left.slice(0, MAX_NAMED).map(({ name }) => displayPath(name));
  const more = left.length > MAX_NAMED ? ` and ${left.length - MAX_NAMED} more` : '';
  return [
    `Refs that are not in the new repository, as their objects are not at hand or git refuses the name: ${names.join(', ')}${more}.`,
  ];
}

async function writeLog(content: Buffer, options: GitOptions): Promise<void> {
  const to = join(options.gitDir ?? '', 'logs', 'refs', 'stash');
  await mkdir(dirname(to), { recursive: true });
  await writeFile(to, content);
}

const MAX_STASH_LOG = 16 * 1024 * 1024;

/** Stash entries but the newest live in its reflog alone. */
async function copyStashLog(source: Repository, options: GitOptions): Promise<void> {
  const to = join(options.gitDir ?? '', 'logs', 'refs', 'stash');
  await mkdir(dirname(to), { recursive: true });
  await copyPlain(join(source.commonDir, 'logs', 'refs', 'stash'), to, MAX_STASH_LOG);
}
