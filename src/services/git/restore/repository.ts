import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readBundleHeader } from '../bundle-header.ts';
import { readConfig } from '../config.ts';
import type { GitOptions } from '../git.ts';
import { git } from '../git.ts';
import type { ObjectFormat } from '../private-dir.ts';
import { readPlain } from '../plain-file.ts';
import type { Repository } from '../repository.ts';
import { insideRoots, locateObjects, realRoots } from '../repository.ts';
import { isPartial } from '../reachable.ts';
import { unpackBundle } from '../unpack-bundle.ts';
import { takeObjects } from './objects.ts';
import type { RestoreOptions } from './types.ts';

const MAX_SHALLOW = 16 * 1024 * 1024;
const DEFAULT_MAX_BUNDLE = 2 * 1024 * 1024 * 1024;

/** Conversions off, so that files are written and read back as the bytes that were saved. */
const RAW = '* -text -eol -crlf -filter -ident -working-tree-encoding\n';
const EXACT = [
  ['core.autocrlf', 'false'],
  ['core.protectNTFS', 'false'],
  ['core.protectHFS', 'false'],
  ['core.symlinks', 'true'],
  ['core.fileMode', 'true'],
] as const;

/** Objects of a partial clone may be missing: a remote promised them. Which one, its settings say in the end. */
const PROMISED = [['remote.promised.promisor', 'true']] as const;

/** Makes an empty repository in `folder` and fills its object store from all places at hand. */
export async function createRepository(
  folder: string,
  options: RestoreOptions,
  source: Repository | null,
  signal: AbortSignal,
): Promise<GitOptions> {
  const format = await objectFormat(options, source, signal);
  const repo = await initRepository(folder, format, signal);
  const gitDir = repo.gitDir ?? '';
  await takeObjects(await storesOf(options, source), join(gitDir, 'objects'), signal);
  await copyShallow(shallowFiles(options, source), repo);
  if (options.from.bundle !== undefined) {
    const maxBytes = options.maxBundleBytes ?? DEFAULT_MAX_BUNDLE;
    await unpackBundle(options.from.bundle, { maxBytes, strict: false }, repo);
  }
  return believePromises(repo, join(gitDir, 'objects'));
}

/** What a partial clone never fetched is not missing, as long as its packs promise it. */
export async function believePromises(repo: GitOptions, objectsDir: string): Promise<GitOptions> {
  return (await isPartial({ objectsDir })) ? { ...repo, config: [...EXACT, ...PROMISED] } : repo;
}

/** An empty repository, and the options with which git works on exact bytes in it. */
export async function initRepository(
  folder: string,
  format: ObjectFormat,
  signal: AbortSignal,
): Promise<GitOptions> {
  const gitDir = join(folder, '.git');
  await git(['init', '--quiet', '--template=', `--object-format=${format}`, folder], {
    cwd: folder,
    signal,
  });
  const indexFile = join(gitDir, 'index');
  const repo: GitOptions = {
    gitDir,
    workTree: folder,
    indexFile,
    signal,
    config: EXACT,
    env: { GIT_COMMITTER_NAME: 'Defib', GIT_COMMITTER_EMAIL: 'checkpoint@defib.invalid' },
  };
  await git(['config', '--file', join(gitDir, 'config'), 'core.logAllRefUpdates', 'true'], repo);
  await writeInfo(gitDir, RAW);
  return repo;
}

async function writeInfo(gitDir: string, text: string): Promise<void> {
  await mkdir(join(gitDir, 'info'), { recursive: true });
  await writeFile(join(gitDir, 'info', 'attributes'), text);
}

async function objectFormat(
  { from }: RestoreOptions,
  source: Repository | null,
  signal: AbortSignal,
): Promise<ObjectFormat> {
  if (source) return (await readConfig(source, signal)).objectFormat;
  if (from.bundle !== undefined) return (await readBundleHeader(from.bundle)).objectFormat;
  const config = await readFile(join(from.privateDir ?? '', 'config'), 'utf8').catch(() => '');
  return /objectFormat = sha256/.test(config) ? 'sha256' : 'sha1';
}

async function storesOf(options: RestoreOptions, source: Repository | null): Promise<string[]> {
  const { privateDir, base } = options.from;
  const stores = source ? [source.objectsDir] : [];
  if (privateDir !== undefined) stores.push(join(privateDir, 'store'));
  if (base !== undefined) {
    const roots = await realRoots(options.policy.roots);
    stores.push(await locateObjects(await insideRoots(base, roots, 'The base repository'), roots));
  }
  return stores;
}

function shallowFiles({ from }: RestoreOptions, source: Repository | null): string[] {
  return [
    ...(source ? [join(source.commonDir, 'shallow')] : []),
    ...(from.privateDir === undefined ? [] : [join(from.privateDir, 'shallow')]),
  ];
}

/** Without it, git would look for the parents that a shallow clone never had. */
export async function copyShallow(places: readonly string[], options: GitOptions): Promise<void> {
  for (const place of places) {
    const text = await readPlain(place, MAX_SHALLOW);
    if (text) await writeFile(join(options.gitDir ?? '', 'shallow'), text);
  }
}

/** Takes away what was needed only while restoring. */
export async function removeRaw(gitDir: string): Promise<void> {
  await rm(join(gitDir, 'info', 'attributes'), { force: true });
}

/** A file inside the new git directory. */
export async function writeGitFile(git: GitOptions, name: string, content: Buffer): Promise<void> {
  const path = join(git.gitDir ?? '', name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}
