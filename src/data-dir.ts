import { lstat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** Lies in every data directory, and in nothing else: whatever its name, no checkpoint takes it. */
export const DATA_MARKER = '.defib-data';

const SIGNATURE = 'Signature: defib-data-directory';

const MARKER_TEXT = `${SIGNATURE}
Defib keeps its own data here: a database, tokens, and what agents have saved. No checkpoint takes this folder,
and git ignores it. As long as this file is here.
`;

/** Whether the content of a file named {@link DATA_MARKER} says that it lies in a data directory. */
export const isDataMarker = (text: string): boolean => text.startsWith(SIGNATURE);

/**
 * Where a user's own service keeps its data: `XDG_DATA_HOME/defib`, else the folder that the system has for
 * such things.
 */
export function userDataDir(
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): string {
  const home = env['HOME'] || homedir();
  const given = env['XDG_DATA_HOME'];
  // A relative path is to be ignored, says the specification.
  if (given && isAbsolute(given)) return join(given, 'defib');
  return platform === 'darwin'
    ? join(home, 'Library', 'Application Support', 'defib')
    : join(home, '.local', 'share', 'defib');
}

/**
 * Marks a folder that is there as a data directory, for captures and for git. One that is a worktree itself is
 * more than that, and stays as it is.
 */
export async function markDataDir(folder: string): Promise<void> {
  if (await lstat(join(folder, '.git')).catch(() => undefined)) return;
  await writeNew(join(folder, DATA_MARKER), MARKER_TEXT);
  await writeNew(join(folder, '.gitignore'), '*\n');
}

async function writeNew(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flag: 'wx', mode: 0o644 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}
