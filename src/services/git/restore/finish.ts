import { appendFile, copyFile, lstat, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Checkpoint } from '../checkpoint.ts';
import { readObjects, STATE } from '../checkpoint.ts';
import { readConfig } from '../config.ts';
import type { GitOptions } from '../git.ts';
import { git, splitNul } from '../git.ts';
import { isStatePath } from '../operation.ts';
import type { Repository } from '../repository.ts';
import { carryConfig, configLine } from './config.ts';
import { restoreRefs } from './refs.ts';
import { removeRaw, writeGitFile } from './repository.ts';

/** The last steps: refs and HEAD, configuration, and the state of a merge or rebase under way. */
export async function finish(
  checkpoint: Checkpoint,
  source: Repository | null,
  options: GitOptions,
): Promise<string[]> {
  const warnings = await restoreRefs(checkpoint, source, options);
  await restoreOperation(checkpoint, options);
  await restoreShallow(checkpoint, options);
  await removeRaw(options.gitDir ?? '');
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
  if (!source) {
    await appendFile(file, savedConfig(checkpoint));
    return [];
  }
  const { text, left } = carryConfig(await readConfig(source, options.signal), source.worktree);
  await appendFile(file, text);
  for (const name of ['info/exclude', 'info/attributes']) await copyPlain(source, name, options);
  if (left.length === 0) return [];
  return [`Settings that were not carried over, as they may run programs: ${left.join(', ')}.`];
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
  if (state.sparse) {
    lines.push(configLine('core.sparseCheckout', 'true'));
    lines.push(configLine('core.sparseCheckoutCone', String(state.sparse.cone)));
  }
  return lines.join('');
}

async function copyPlain(source: Repository, name: string, options: GitOptions): Promise<void> {
  const from = join(source.commonDir, name);
  const info = await lstat(from).catch(() => null);
  if (!info?.isFile()) return;
  const to = join(options.gitDir ?? '', name);
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
}
