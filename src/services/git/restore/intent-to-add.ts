import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitOptions } from '../git.ts';
import { git } from '../git.ts';
import { nulTerminated } from '../stage.ts';
import { absolute } from '../vet.ts';

export type Planned = {
  paths: readonly Buffer[];
  programs: readonly Buffer[];
  links: readonly Buffer[];
};

/**
 * Marks paths as intended to be added. Git does so only for files that it sees, and for none if one of them
 * is not there; so it is shown a folder of stand-ins, one for each path, whatever became of the real ones.
 * False when some could not be marked.
 */
export async function markIntentToAdd(planned: Planned, options: GitOptions): Promise<boolean> {
  if (planned.paths.length === 0) return true;
  const folder = join(options.gitDir ?? '', 'planned');
  const programs = new Set(planned.programs.map(key));
  const links = new Set(planned.links.map(key));
  const shown: Buffer[] = [];
  try {
    for (const path of planned.paths) {
      const kind = links.has(key(path)) ? 'link' : programs.has(key(path)) ? 'program' : 'file';
      if (await standIn(absolute(folder, path), kind)) shown.push(path);
    }
    await mkdir(asideOf(options));
    return (await addAll(folder, shown, options)) && shown.length === planned.paths.length;
  } finally {
    await rm(folder, { recursive: true, force: true });
    await rm(asideOf(options), { recursive: true, force: true });
  }
}

/** Git writes the empty file's object on the way: elsewhere, as it would renew the time of one that is linked. */
const asideOf = (options: GitOptions): string => join(options.gitDir ?? '', 'aside');

const key = (path: Buffer): string => path.toString('latin1');

async function standIn(path: Buffer, kind: 'file' | 'program' | 'link'): Promise<boolean> {
  try {
    await mkdir(path.subarray(0, path.lastIndexOf(0x2f)), { recursive: true });
    if (kind === 'link') await symlink('.', path);
    else await writeFile(path, '', { mode: kind === 'program' ? 0o755 : 0o644 });
    return true;
  } catch {
    return false; // a path that is too long here
  }
}

async function addAll(folder: string, paths: Buffer[], options: GitOptions): Promise<boolean> {
  const { code } = await git(
    ['add', '--intent-to-add', '--force', '--pathspec-from-file=-', '--pathspec-file-nul'],
    {
      ...options,
      workTree: folder,
      cwd: folder,
      env: { ...options.env, GIT_LITERAL_PATHSPECS: '1', GIT_OBJECT_DIRECTORY: asideOf(options) },
      stdin: nulTerminated(paths),
      okCodes: [1, 128],
    },
  );
  return code === 0;
}
