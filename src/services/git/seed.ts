import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { noteConversions } from './conversions.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import { readHead } from './head.ts';
import type { IndexEntry } from './index-file.ts';
import { GITLINK } from './index-file.ts';
import { readPlain } from './plain-file.ts';
import type { PrivateDir } from './private-dir.ts';
import { exists } from './private-dir.ts';
import type { RepositoryConfig } from './config.ts';
import type { Repository } from './repository.ts';
import { changedSuspects, forgetStat, suspectsOf } from './suspects.ts';
import { copyUserIndex, isDamage, removeSharedIndexes } from './user-index.ts';

/**
 * Makes the private index from the user's, so that the first capture need not read every file. What
 * the user's git calls clean is clean only after its conversions (line ends, filters, encodings); such
 * entries lose their recorded stat data here, and are then read byte by byte. `options` work on a
 * scratch index, which is left at `target`.
 */
export async function seedIndex(
  target: string,
  repository: Repository,
  dir: PrivateDir,
  config: RepositoryConfig,
  options: GitOptions,
): Promise<void> {
  await rm(target, { force: true });
  const seeded = { ...options, indexFile: target };
  const copy = await copyUserIndex(repository, dir, target, seeded).catch(async (error) => {
    if (!isDamage(error, options.signal)) throw error;
    await seedFromHead(target, repository, seeded);
    return null;
  });
  if (!copy) return;
  // The fourth version saves some space, and takes ten times as long to look through.
  await git(['update-index', '--index-version', '2'], seeded);
  await clearAssumeUnchanged(copy.parsed.entries, seeded);
  const doubtful = await doubtfulEntries(copy.parsed.entries, repository, config, seeded);
  if (doubtful.length > 0) await noteConversions(dir);
  await forgetStat(doubtful, seeded);
  const written = await stat(join(repository.gitDir, 'index'), { bigint: true });
  // Whoever set the time of the index by hand cannot have set its time of change.
  const writtenNs = written.mtimeNs < written.ctimeNs ? written.mtimeNs : written.ctimeNs;
  const suspects = suspectsOf(copy.parsed.entries, writtenNs);
  const known = { suspects, sinceNs: writtenNs };
  await forgetStat(await changedSuspects(repository.worktree, known), seeded);
  await removeSharedIndexes(dir);
}

/** Where the user's index cannot be read, HEAD tells what is tracked, also of what is ignored. */
async function seedFromHead(
  target: string,
  repository: Repository,
  options: GitOptions,
): Promise<void> {
  await rm(target, { force: true });
  const { oid } = await readHead(repository, options.signal);
  if (oid !== null) await git(['read-tree', oid], { ...options, okCodes: [128] });
}

/**
 * Packs the trees of HEAD into the private store. Writers see that store alone (see `writing`), and would
 * otherwise write every tree of the worktree again as a file of its own.
 */
export async function primeTrees(
  dir: PrivateDir,
  repository: Repository,
  options: GitOptions,
): Promise<void> {
  const { oid: head } = await readHead(repository, options.signal);
  if (head === null) return;
  // Trees that are missing (a damaged or partial clone) only cost time later.
  // Away from the worktree, whose attributes git would read here, and which nobody has looked at yet.
  const lenient = { ...options, cwd: dir.path, workTree: dir.path, okCodes: [1, 128] };
  const list = ['rev-list', '--objects', '--no-object-names', '--filter=blob:none', '--stdin'];
  const { stdout } = await git(list, { ...lenient, stdin: `${head}^{tree}\n` });
  const pack = ['pack-objects', '--quiet', '--threads=1', join(dir.store, 'pack', 'pack')];
  if (stdout.length > 0) await git(pack, { ...lenient, stdin: stdout });
}

async function clearAssumeUnchanged(entries: IndexEntry[], options: GitOptions): Promise<void> {
  const flagged = entries.filter((entry) => entry.assumeValid && entry.stage === 0);
  if (flagged.length === 0) return;
  const stdin = Buffer.concat(flagged.flatMap((entry) => [entry.path, Buffer.from([0])]));
  await git(['update-index', '--no-assume-unchanged', '-z', '--stdin'], { ...options, stdin });
}

/**
 * Entries whose bytes on disk may differ from their blob although the user's git calls them clean.
 * Line ends, `ident` and most encodings change the size, so comparing the recorded size with the
 * blob's finds them whatever configuration was in force. Filters and encodings can keep the size: if
 * anything speaks of one, no entry is believed.
 */
async function doubtfulEntries(
  entries: IndexEntry[],
  repository: Repository,
  config: RepositoryConfig,
  options: GitOptions,
): Promise<IndexEntry[]> {
  const files = entries.filter(
    (entry) => entry.stage === 0 && entry.mode !== GITLINK && !entry.skipWorktree,
  );
  if (config.filters || (await attributesNameFilters(files, repository, options))) return files;
  const sizes = await blobSizes(
    files.map((entry) => entry.oid),
    options,
  );
  return files.filter((entry, n) => sizes[n] === undefined || sizes[n] % 2 ** 32 !== entry.size);
}

/** Sizes in the order asked; undefined for an object that is missing. */
async function blobSizes(
  oids: readonly string[],
  options: GitOptions,
): Promise<(number | undefined)[]> {
  if (oids.length === 0) return [];
  const { stdout } = await git(['cat-file', '--batch-check=%(objectsize)', '--buffer'], {
    ...options,
    stdin: `${oids.join('\n')}\n`,
  });
  const lines = stdout.toString('latin1').split('\n');
  return oids.map((_, n) => {
    const line = lines[n] ?? '';
    return /^\d+$/.test(line) ? Number(line) : undefined;
  });
}

const CONVERSION = /\b(?:filter|working-tree-encoding)\b/;
const MAX_ATTRIBUTES = 4 * 1024 * 1024;
const ATTRIBUTES = Buffer.from('.gitattributes');

/** Looks at the committed and the present text of all attribute files: either may have been in force. */
async function attributesNameFilters(
  files: IndexEntry[],
  repository: Repository,
  options: GitOptions,
): Promise<boolean> {
  const tracked = files.filter((entry) => isAttributesFile(entry.path));
  const paths = [
    join(repository.commonDir, 'info', 'attributes'),
    join(repository.worktree, '.gitattributes'),
    ...tracked.map((entry) => Buffer.concat([Buffer.from(`${repository.worktree}/`), entry.path])),
  ];
  for (const path of paths) {
    // One that is a link, or too large to look into, may say anything.
    const text = await readPlain(path, MAX_ATTRIBUTES).catch(() => null);
    if (text === null ? await exists(path) : CONVERSION.test(text.toString('latin1'))) return true;
  }
  if (tracked.length === 0) return false;
  const stdin = tracked.map((entry) => `${entry.oid}\n`).join('');
  const { stdout } = await git(['cat-file', '--batch'], { ...options, stdin });
  return CONVERSION.test(stdout.toString('latin1'));
}

function isAttributesFile(path: Buffer): boolean {
  if (!path.subarray(-ATTRIBUTES.length).equals(ATTRIBUTES)) return false;
  return path.length === ATTRIBUTES.length || path[path.length - ATTRIBUTES.length - 1] === 0x2f;
}
