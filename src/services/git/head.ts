import { join } from 'node:path';
import { git } from './git.ts';
import { displayPath, isOid } from './names.ts';
import { readPlain } from './plain-file.ts';
import { asText } from './ref-list.ts';
import type { Repository } from './repository.ts';

/**
 * Where HEAD stands. `oid` is null while the branch has no commit; `branch` is null when detached. Both say
 * little where HEAD, or the file of the branch, is not `readable`.
 */
export type Head = {
  oid: string | null;
  branch: string | null;
  readable: boolean;
  /** The bytes of the ref, where `branch` cannot tell them: not UTF-8, or not below refs/heads/. */
  target?: Buffer;
};

/** Reads HEAD through git (refs may be packed or in a reftable); nothing of the configuration runs. */
export async function readHead(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<Head> {
  const options = { gitDir: repository.gitDir, signal };
  const [ref, resolved] = await Promise.all([
    symbolicHead(repository, signal),
    git(['rev-parse', '--verify', '--quiet', 'HEAD'], { ...options, okCodes: [1, 128] }),
  ]);
  const place = placeOf(ref);
  if (resolved.code === 0) {
    return { oid: resolved.stdout.toString('latin1').trim(), readable: true, ...place };
  }
  return { ...(await withoutGit(repository, ref)), ...place };
}

const BRANCHES = 'refs/heads/';

function placeOf(ref: Buffer | null): Pick<Head, 'branch' | 'target'> {
  if (ref === null) return { branch: null };
  const name = asText(ref);
  if (name?.startsWith(BRANCHES)) return { branch: name.slice(BRANCHES.length) };
  const isBranch = ref.toString('latin1').startsWith(BRANCHES);
  return { branch: displayPath(isBranch ? ref.subarray(BRANCHES.length) : ref), target: ref };
}

/** Git gives up on a configuration that it cannot read, and takes an empty file for a branch without commits. */
async function withoutGit(
  { gitDir, commonDir }: Repository,
  ref: Buffer | null,
): Promise<Pick<Head, 'oid' | 'readable'>> {
  const file =
    ref === null ? join(gitDir, 'HEAD') : Buffer.concat([Buffer.from(`${commonDir}/`), ref]);
  const text = (await readPlain(file, MAX_REF).catch(() => null))?.toString('latin1').trim();
  if (text !== undefined && isOid(text)) return { oid: text, readable: true };
  if (text !== undefined || ref === null) return { oid: null, readable: false };
  const packed = await readPlain(join(commonDir, 'packed-refs'), MAX_PACKED).catch(() => null);
  const rows = packed?.toString('latin1').split('\n') ?? [];
  const row = rows.find((line) => line.endsWith(` ${ref.toString('latin1')}`));
  const oid = row?.slice(0, row.indexOf(' ')) ?? '';
  return { oid: isOid(oid) ? oid : null, readable: true };
}

const MAX_REF = 8192;
const MAX_PACKED = 256 * 1024 * 1024;

async function symbolicHead(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<Buffer | null> {
  const bytes = await readPlain(join(repository.gitDir, 'HEAD'), MAX_REF);
  const text = bytes?.toString('latin1') ?? '';
  if (/^[0-9a-f]{40,64}\s*$/.test(text)) return null;
  const ref = /^ref:[ \t]*(refs\/[^\n]+?)[ \t\r\n]*$/.exec(text)?.[1];
  // A reftable repository keeps this placeholder in the file.
  if (ref !== undefined && ref !== 'refs/heads/.invalid') return Buffer.from(ref, 'latin1');
  const answer = await git(['symbolic-ref', '--quiet', 'HEAD'], {
    gitDir: repository.gitDir,
    signal,
    okCodes: [1, 128],
  });
  if (answer.code !== 0) return null;
  return Buffer.from(answer.stdout.toString('latin1').trimEnd(), 'latin1');
}
