import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { git, gitText } from './git.ts';
import type { Repository } from './repository.ts';

export type OwnObjectsOptions = {
  repository: Repository;
  privateDir: string;
  commit: string;
  signal: AbortSignal | undefined;
};

/**
 * Objects of a checkpoint and of those before it that neither its HEAD nor the user's refs reach, from the
 * outside in.
 *
 * @throws ObjectsGone when one of them is nowhere any more
 */
export async function ownObjects(options: OwnObjectsOptions): Promise<string[]> {
  const { repository, privateDir, commit, signal } = options;
  const not = [...(await usersRefs(repository, signal)), ...(await headOf(options))];
  const list = ['rev-list', '--objects', '--no-object-names', '--ignore-missing'];
  const { code, stdout } = await git([...list, '--missing=print', '--stdin'], {
    gitDir: privateDir,
    stdin: [commit, ...not.map((oid) => `^${oid}`), ''].join('\n'),
    okCodes: [128],
    signal,
  });
  const lines = stdout.toString('latin1').split('\n');
  const gone = lines.filter((line) => line.startsWith('?'));
  if (code !== 0 || (gone.length > 0 && !(await isPartial(repository)))) throw new ObjectsGone();
  return lines.filter((line) => line !== '' && !line.startsWith('?'));
}

/** Objects of a checkpoint are nowhere any more: it has to be made again. */
export class ObjectsGone extends AppError {
  constructor() {
    super(
      'conflict',
      'Objects of the checkpoint were removed beside it, as `git gc --prune=now` does; make it again.',
    );
  }
}

/** In a partial clone some objects are with the remote alone. */
export async function isPartial({ objectsDir }: Pick<Repository, 'objectsDir'>): Promise<boolean> {
  const names: string[] = await readdir(join(objectsDir, 'pack')).catch(() => []);
  return names.some((name) => name.endsWith('.promisor'));
}

/** HEAD of the checkpoint is in the user's repository already, with its whole history. */
async function headOf({ privateDir, commit, signal }: OwnObjectsOptions): Promise<string[]> {
  const { stdout } = await git(['cat-file', 'commit', commit], {
    gitDir: privateDir,
    signal,
    okCodes: [128],
  });
  const head = /^Defib-Head: ([0-9a-f]{40,64})$/m.exec(stdout.toString('utf8'))?.[1];
  return head === undefined ? [] : [head];
}

/** What the refs of the user point to; git keeps what they reach. */
async function usersRefs(repository: Repository, signal: AbortSignal | undefined) {
  const format = '--format=%(objectname) %(refname)';
  const text = await gitText(['for-each-ref', format], { gitDir: repository.gitDir, signal });
  const rows = text.split('\n').filter((row) => !row.includes(' refs/heads/checkpoint/'));
  return [...new Set(rows.map((row) => row.split(' ')[0] ?? ''))].filter((oid) => oid !== '');
}
