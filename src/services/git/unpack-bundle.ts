import { createReadStream } from 'node:fs';
import { AppError } from '../../errors.ts';
import { readBundleHeader } from './bundle-header.ts';
import type { BundleHeader } from './bundle-header.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';

/**
 * Puts the objects of a bundle into a repository, each checked by git's strict fsck, streamed from the
 * file. Only the pack is used: no ref is created, and no prerequisite is taken on trust.
 */
export async function unpackBundle(
  file: string,
  maxBytes: number,
  options: GitOptions,
): Promise<BundleHeader> {
  const header = await readBundleHeader(file);
  await requireObjects(header.prerequisites, options);
  const args = ['index-pack', '--stdin', '--fix-thin', '--strict', `--max-input-size=${maxBytes}`];
  const result = await git(args, {
    ...options,
    stdin: createReadStream(file, { start: header.packAt }),
    okCodes: [1, 128],
  });
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
