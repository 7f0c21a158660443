import { join } from 'node:path';
import { readConfig } from './config.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import { readHead } from './head.ts';
import { displayPath } from './names.ts';
import { copyIndex, exists, preparePrivateDir } from './private-dir.ts';
import type { PrivateDir } from './private-dir.ts';
import type { Repository, RepositoryPolicy } from './repository.ts';
import { locateRepository } from './repository.ts';
import { scanWorktree } from './scan.ts';
import type { Staged } from './staged.ts';
import { copyUserIndex } from './user-index.ts';
import type { NotCaptured } from './vet.ts';

export type Submodules = {
  /** Submodules that are checked out; git records the commit they stand at. */
  present: Buffer[];
  notCaptured: NotCaptured[];
};

/**
 * Looks at each submodule that is checked out. A checkpoint holds its commit id only, so work that is
 * not in a commit, or in a commit that the parent does not record, is reported.
 */
export async function readSubmodules(
  repository: Repository,
  dir: PrivateDir,
  staged: Staged,
  policy: RepositoryPolicy,
  signal: AbortSignal | undefined,
): Promise<Submodules> {
  const result: Submodules = { present: [], notCaptured: [] };
  for (const [n, link] of staged.gitlinks.entries()) {
    const path = Buffer.from(link.path, 'base64');
    const name = path.toString('utf8');
    const top = join(repository.worktree, name);
    if (!Buffer.from(name).equals(path) || !(await exists(join(top, '.git')))) continue;
    result.present.push(path);
    const privatePath = join(dir.path, 'modules', String(n));
    const reason = await lost(top, link.oid, privatePath, policy, signal).catch(
      () => 'submodule: it could not be examined; only its commit id is saved',
    );
    if (reason !== null) result.notCaptured.push({ path: `${displayPath(path)}/`, reason });
  }
  return result;
}

/** Why a checkpoint does not hold all of the submodule, or null. */
async function lost(
  top: string,
  recorded: string,
  path: string,
  policy: RepositoryPolicy,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  const repository = await locateRepository(top, policy);
  const head = await readHead(repository, signal);
  const changed = await countChanges(repository, path, signal);
  if (changed > 0)
    return `submodule: ${changed} uncommitted files in it; only its commit id is saved`;
  if (head.oid === recorded) return unpushed(repository, recorded, signal);
  return 'submodule: it stands at another commit; the commit id is saved, the commit is not';
}

/** Why nobody else could check the commit out, or null: a branch of a remote has it. */
async function unpushed(
  { gitDir }: Repository,
  oid: string,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  const args = ['for-each-ref', '--count=1', `--contains=${oid}`, 'refs/remotes/'];
  const { stdout } = await git(args, { gitDir, signal });
  if (stdout.length > 0) return null;
  return 'submodule: no branch of its remotes has its commit; the commit id is saved, the commit is not';
}

async function countChanges(
  repository: Repository,
  path: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { objectFormat } = await readConfig(repository, signal);
  const dir = await preparePrivateDir({
    path,
    repository,
    objectFormat,
    staleMs: 0,
    now: new Date(),
    minFreeBytes: 0,
  });
  const options: GitOptions = {
    gitDir: dir.path,
    workTree: repository.worktree,
    indexFile: dir.index,
    signal,
  };
  const scratch = join(dir.path, 'copy');
  const copy = await copyUserIndex(repository, dir, scratch, { ...options, indexFile: scratch });
  if (copy) await copyIndex(copy.file, dir.index);
  const scan = await scanWorktree(options);
  return scan.changed.length + scan.gone.length + scan.nested.length;
}
