import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { AppError } from '../../errors.ts';

/** Whom agents run as that the spawner `command` starts. */
export type SpawnUser = { name: string; uid: number; gid: number; home: string };

/**
 * Looks an account up in /etc/passwd.
 *
 * @throws AppError `invalid`: there is none of this name, or this process may not become another
 */
export async function findSpawnUser(name: string): Promise<SpawnUser> {
  if (process.getuid?.() !== 0) {
    throw new AppError(
      'invalid',
      'DEFIB_SPAWN_USER needs workers that run as root: nobody else may start programs as another user.',
    );
  }
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n');
  const [, , uid, gid, , home] =
    lines.map((line) => line.split(':')).find(([each]) => each === name) ?? [];
  if (uid === undefined || gid === undefined) {
    throw new AppError(
      'invalid',
      `DEFIB_SPAWN_USER: there is no account "${name}" in /etc/passwd.`,
    );
  }
  return { name, uid: Number(uid), gid: Number(gid), home: home ?? '/' };
}

/** Makes a folder that we have just made theirs, with all in it; what links in it point to stays as it is. */
export async function giveTo(user: SpawnUser, folder: string): Promise<void> {
  await promisify(execFile)('chown', ['-R', '-h', `${user.uid}:${user.gid}`, '--', folder]);
}
