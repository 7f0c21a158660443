import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  realpath,
  rmdir,
  stat,
  symlink,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { markDataDir } from '../../data-dir.ts';
import { AppError } from '../../errors.ts';
import type { Account } from './account.ts';
import { chooseAccount, ownAccount } from './account.ts';
import type { Log } from './log.ts';
import { firstClosed } from './reach.ts';

export type Place = { pgdata: string; account: Account };

/**
 * Decides where the cluster lives and who runs it: `<dataDir>/postgres` (followed, where it is a
 * symbolic link), unless we are root and the account that must run the server cannot get there,
 * as in a checkout below a 0700 home. Then a folder below `shared` takes its place, and a
 * symbolic link shows where it went: the link moves with the checkout, and goes when it goes.
 */
export async function placeCluster(dataDir: string, shared: string, log: Log): Promise<Place> {
  const link = join(await makeDataDir(dataDir), 'postgres');
  const pgdata = await follow(link);
  if (!(await exists(dirname(pgdata)))) throw leadsNowhere(link, pgdata);
  const account = await chooseAccount(await ownerOf(pgdata), pgdata);
  if (account.own) return { pgdata, account };
  const closed = await firstClosed(dirname(pgdata), account);
  if (closed === undefined) return { pgdata, account };
  if (pgdata !== link || (await exists(pgdata))) throw unreachable(pgdata, closed, account);
  const moved = await placeBelow(shared, link, account);
  log('warn', `PostgreSQL keeps its data in ${moved}`, {
    reason: `it runs as ${account.name}, who cannot enter ${closed}`,
  });
  return { pgdata: moved, account };
}

/** The folder's real path. A new one is closed to others, but root's must let the server pass. */
async function makeDataDir(dataDir: string): Promise<string> {
  const root = ownAccount().uid === 0;
  await mkdir(dataDir, { recursive: true, mode: root ? 0o711 : 0o700 });
  // The umask may have closed it. A folder with something in it may be more than ours: left alone.
  if (root && (await readdir(dataDir)).length === 0) await chmod(dataDir, 0o711);
  await markDataDir(dataDir);
  return realpath(dataDir);
}

async function placeBelow(shared: string, link: string, account: Account): Promise<string> {
  await mkdir(shared, { recursive: true, mode: 0o755 });
  const folder = await mkdtemp(join(await realpath(shared), 'data-'));
  const pgdata = join(folder, 'postgres');
  await chmod(folder, 0o711);
  const closed = await firstClosed(folder, account);
  if (closed !== undefined) {
    await rmdir(folder);
    throw unreachable(link, closed, account);
  }
  try {
    await symlink(pgdata, link);
    return pgdata;
  } catch (error) {
    // Another instance on the same folder was first: its link counts, and the lock will decide.
    await rmdir(folder);
    if (await exists(dirname(await follow(link)))) return follow(link);
    throw error;
  }
}

/** Where a path leads in the end, also when nothing is there yet. */
async function follow(path: string): Promise<string> {
  const target = await readlink(path).catch(() => undefined);
  if (target === undefined) return path;
  const absolute = resolve(dirname(path), target);
  return realpath(absolute).catch(() => absolute);
}

async function ownerOf(pgdata: string): Promise<{ uid: number; gid: number } | undefined> {
  const version = await stat(join(pgdata, 'PG_VERSION')).catch((error: NodeJS.ErrnoException) => {
    // A folder that we may not even look into belongs to somebody else; its owner says to whom.
    if (error.code === 'EACCES') return stat(pgdata);
    return undefined;
  });
  return version && { uid: version.uid, gid: version.gid };
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function leadsNowhere(link: string, pgdata: string): AppError {
  return new AppError(
    'unavailable',
    `The database folder ${link} is a link to ${pgdata}, and ${dirname(pgdata)} does not exist. Bring it ` +
      'back (is a disk not mounted?), or delete the link to begin with an empty database.',
  );
}

function unreachable(path: string, closed: string, account: Account): AppError {
  return new AppError(
    'unavailable',
    `PostgreSQL does not run as root, so it runs as ${account.name}, who cannot enter ${closed} and so ` +
      `cannot reach ${path}. Set DEFIB_DATA_DIR to a folder that it can reach (such as ` +
      '/var/lib/defib), run Defib as an ordinary user, or set DATABASE_URL.',
  );
}
