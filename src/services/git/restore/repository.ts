import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readBundleHeader } from '../bundle-header.ts';
import { readConfig } from '../config.ts';
import type { GitOptions } from '../git.ts';
import { git } from '../git.ts';
import type { ObjectFormat } from '../private-dir.ts';
import type { Repository } from '../repository.ts';
import { insideRoots, locateObjects, realRoots } from '../repository.ts';
import { unpackBundle } from '../unpack-bundle.ts';
import { takeObjects } from './objects.ts';
import type { RestoreOptions } from './types.ts';

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

/** Makes an empty repository in `folder` and fills its object store from all places at hand. */
export async function createRepository(
  folder: string,
  options: RestoreOptions,
  source: Repository | null,
  signal: AbortSignal,
): Promise<GitOptions> {
  const gitDir = join(folder, '.git');
  const format = await objectFormat(options, source, signal);
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
  await takeObjects(await storesOf(options, source), join(gitDir, 'objects'), signal);
  await copyShallow(options, source, gitDir);
  if (options.from.bundle !== undefined) {
    const maxBytes = options.maxBundleBytes ?? DEFAULT_MAX_BUNDLE;
    await unpackBundle(options.from.bundle, { maxBytes, strict: false }, repo);
  }
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

/** Without it, git would look for the parents that a shallow clone never had. */
async function copyShallow(
  options: RestoreOptions,
  source: Repository | null,
  gitDir: string,
): Promise<void> {
  const places = [
    ...(source ? [join(source.commonDir, 'shallow')] : []),
    ...(options.from.privateDir === undefined ? [] : [join(options.from.privateDir, 'shallow')]),
  ];
  for (const place of places) {
    const text = await readFile(place).catch(() => null);
    if (text) await writeFile(join(gitDir, 'shallow'), text);
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
