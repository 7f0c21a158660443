import { appendFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Checkpoint } from '../checkpoint.ts';
import { readObjects, STATE } from '../checkpoint.ts';
import { READING, readConfig } from '../config.ts';
import type { GitOptions } from '../git.ts';
import { git, splitNul } from '../git.ts';
import { isStatePath } from '../state-list.ts';
import { copyPlain } from '../plain-file.ts';
import type { Repository } from '../repository.ts';
import {
  carried,
  type Carried,
  configLine,
  configText,
  readRecords,
  withAddresses,
} from './config.ts';
import { restoreRefs } from './refs.ts';
import { removeRaw, writeGitFile } from './repository.ts';

/** The last steps: refs and HEAD, configuration, and the state of a merge or rebase under way. */
export async function finish(
  checkpoint: Checkpoint,
  source: Repository | null,
  options: GitOptions,
): Promise<string[]> {
  const warnings = await restoreRefs(checkpoint, source, options);
  await removeRaw(options.gitDir ?? '');
  await restoreOperation(checkpoint, options);
  await restoreShallow(checkpoint, options);
  warnings.push(...(await restoreConfig(checkpoint, source, options)));
  return warnings;
}

async function restoreOperation(checkpoint: Checkpoint, options: GitOptions): Promise<void> {
  const { stdout } = await git(
    ['ls-tree', '-r', '-z', '--name-only', checkpoint.stateTree, STATE.operation],
    { ...options, workTree: '', indexFile: '' },
  );
  const names = splitNul(stdout)
    .map((name) => name.toString('utf8'))
    .filter((name) => isStatePath(name.slice(STATE.operation.length)));
  if (names.length === 0) return;
  const contents = await readObjects(
    names.map((name) => `${checkpoint.stateCommit}:${name}`),
    options,
  );
  for (const [n, content] of contents.entries()) {
    const name = names[n]?.slice(STATE.operation.length);
    if (content && name !== undefined) await writeGitFile(options, name, content);
  }
}

async function restoreShallow(checkpoint: Checkpoint, options: GitOptions): Promise<void> {
  const [text] = await readObjects([`${checkpoint.stateCommit}:${STATE.shallow}`], options);
  if (text) await writeGitFile(options, 'shallow', text);
}

async function restoreConfig(
  checkpoint: Checkpoint,
  source: Repository | null,
  options: GitOptions,
): Promise<string[]> {
  const file = join(options.gitDir ?? '', 'config');
  if (checkpoint.state.version === 1 && source) {
    for (const name of ['info/exclude', 'info/attributes']) await copyInfo(source, name, options);
  }
  const present =
    source && carried((await readConfig(source, options.signal)).entries, source.worktree);
  const { entries, left } =
    checkpoint.state.version === 1 && present
      ? present
      : await savedSettings(checkpoint, present?.entries ?? [], options);
  await appendFile(file, entries ? configText(entries) : savedConfig(checkpoint));
  const full = await keptFull(checkpoint, entries ?? [], file, options);
  if (left.length === 0) return full;
  return [
    ...full,
    `Settings that were not carried over, as they may run programs: ${left.join(', ')}.`,
  ];
}

/**
 * Git 2.39 misreads an index that it is to make sparse, but is not yet, when a file in it is only intended to be added;
 * so it is left as the full index that it is.
 */
async function keptFull(
  { stateCommit }: Checkpoint,
  entries: NonNullable<Carried['entries']>,
  file: string,
  options: GitOptions,
): Promise<string[]> {
  if (!entries.some(([key, value]) => key === 'index.sparse' && value !== 'false')) return [];
  const [flags] = await readObjects([`${stateCommit}:${STATE.flags}`], options);
  if (!splitNul(flags ?? Buffer.alloc(0)).some((record) => record[0] === PLANNED)) return [];
  await appendFile(file, configText([['index.sparse', 'false']]));
  return [
    'The setting index.sparse is off, as git misreads files marked with `git add --intent-to-add` with it; once they are added, run `git sparse-checkout reapply --sparse-index`.',
  ];
}

/** Letter of the records of files that are intended to be added. */
const PLANNED = 0x6e;

/**
 * The settings as they were at the checkpoint: the source may have others by now. Credentials are not saved; those
 * of `present` addresses come along. Those of the first format were not saved but for a few.
 */
async function savedSettings(
  { state, stateCommit }: Checkpoint,
  present: NonNullable<Carried['entries']>,
  options: GitOptions,
): Promise<{ entries: Carried['entries'] | null; left: string[] }> {
  if (state.version === 1) return { entries: null, left: [] };
  const names = [STATE.config, STATE.configLeft].map((name) => `${stateCommit}:${name}`);
  const [records, left] = await readObjects(names, options);
  const { entries } = readRecords(records ?? Buffer.alloc(0));
  return {
    entries: withAddresses(entries, present),
    left: left?.toString('utf8').split('\n') ?? [],
  };
}

/** Without the source, the remotes that the checkpoint names (their URLs hold no credentials). */
function savedConfig({ state }: Checkpoint): string {
  const lines = state.remotes.flatMap(({ name, url }) => [
    configLine(`remote.${name}.url`, url),
    configLine(`remote.${name}.fetch`, `+refs/heads/*:refs/remotes/${name}/*`),
  ]);
  if (state.upstream && state.branch !== null) {
    lines.push(
      configLine(`branch.${state.branch}.remote`, state.upstream.remote),
      configLine(`branch.${state.branch}.merge`, state.upstream.merge),
    );
  }
  for (const [key, value] of Object.entries(state.settings)) {
    if (READING.test(key)) lines.push(configLine(key, value));
  }
  if (state.sparse) {
    lines.push(configLine('core.sparseCheckout', 'true'));
    lines.push(configLine('core.sparseCheckoutCone', String(state.sparse.cone)));
  }
  return lines.join('');
}

/** Bytes of a file of settings or refs. */
const MAX_COPIED = 16 * 1024 * 1024;

async function copyInfo(source: Repository, name: string, options: GitOptions): Promise<void> {
  const from = join(source.commonDir, name);
  const to = join(options.gitDir ?? '', name);
  await mkdir(dirname(to), { recursive: true });
  await copyPlain(from, to, MAX_COPIED);
}
