import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { readBundleHeader } from './bundle-header.ts';
import type { BundleHeader } from './bundle-header.ts';
import type { Checkpoint } from './checkpoint.ts';
import { readObjects, STATE } from './checkpoint.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';

/**
 * Puts the objects of a bundle into a repository, streamed from the file. Only the pack is used: no ref is
 * created, and no prerequisite is taken on trust. `strict` also has each object checked by fsck: for what
 * strangers send, while a user's own old history may well hold objects that it frowns upon.
 */
export async function unpackBundle(
  file: string,
  { maxBytes, strict }: { maxBytes: number; strict: boolean },
  options: GitOptions,
): Promise<BundleHeader> {
  const header = await readBundleHeader(file);
  await requireObjects(header.prerequisites, options);
  const args = ['index-pack', '--stdin', '--fix-thin', `--max-input-size=${maxBytes}`];
  if (strict) args.push('--fsck-objects');
  const result = await git(args, {
    ...options,
    stdin: createReadStream(file, { start: header.packAt }),
    okCodes: [1, 128],
  }).catch(refuseLarge);
  if (result.code !== 0) {
    throw new AppError(
      'invalid',
      'The bundle is truncated, damaged or holds objects that git refuses.',
      {
        cause: new Error(result.stderr.slice(0, 2000)),
      },
    );
  }
  return header;
}

/** The size of what a pack unpacks to is known only on the way: git then meets its limit. */
function refuseLarge(error: unknown): never {
  if (!(error instanceof AppError) || error.code !== 'too_large') throw error;
  throw new AppError('invalid', 'The bundle unpacks to more than git may hold in memory.', {
    cause: error,
  });
}

async function requireObjects(oids: readonly string[], options: GitOptions): Promise<void> {
  if (oids.length === 0) return;
  const { stdout } = await git(['cat-file', '--batch-check=%(objecttype)'], {
    ...options,
    stdin: `${oids.join('\n')}\n`,
  });
  const kinds = stdout.toString('latin1').trimEnd().split('\n');
  const missing = oids.filter((_, n) => kinds[n] !== 'commit');
  if (missing.length > 0) {
    throw new AppError(
      'conflict',
      `The bundle builds on ${missing.length} commits that are not here (${missing[0]}); fetch its base first.`,
    );
  }
}

/**
 * Walks what the checkpoint reaches beyond the prerequisites; `invalid` when something is missing. The
 * checkpoint of a shallow clone tells where its history ends.
 */
export async function requireConnected(
  checkpoint: Checkpoint,
  prerequisites: readonly string[],
  repo: GitOptions,
): Promise<void> {
  if (checkpoint.state.shallow) {
    const [text] = await readObjects([`${checkpoint.stateCommit}:${STATE.shallow}`], repo);
    if (text) await writeFile(join(repo.gitDir ?? '', 'shallow'), text);
  }
  const { code } = await git(
    ['rev-list', '--objects', '--quiet', '--missing=allow-promisor', '--stdin'],
    {
      ...repo,
      stdin: [checkpoint.commit, ...prerequisites.map((oid) => `^${oid}`)].join('\n'),
      okCodes: [1, 128],
    },
  );
  if (code !== 0) throw new AppError('invalid', 'Objects that the checkpoint needs are missing.');
}
