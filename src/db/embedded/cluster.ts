import { chown, mkdtemp, open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Account } from './account.ts';
import type { Binaries } from './binaries.ts';
import { run } from './run.ts';
import type { Place } from './place.ts';

/** What a client needs to get in. Kept in the cluster's folder, readable by its owner only. */
export type Credentials = { password: string; port: number | undefined };

export const superuser = 'defib';
const credentialsFile = 'defib.json';

/**
 * Makes sure that a complete cluster of the right version is at `pgdata`, made new if there is
 * nothing. It is made in a sibling and renamed, so that what is at `pgdata` is always whole, and
 * nothing there is ever deleted. The caller holds the lock of the folder.
 *
 * @param sync whether the new files must be on disk before they count
 */
export async function ensureCluster(
  { pgdata, account }: Place,
  binaries: Binaries,
  sync: boolean,
): Promise<'created' | 'found'> {
  const present = await readdir(pgdata).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (present.length > 0) {
    await checkVersion(pgdata, binaries.major);
    return 'found';
  }
  await removeHalfMade(pgdata);
  await initialise(pgdata, account, binaries, sync);
  return 'created';
}

async function checkVersion(pgdata: string, major: number): Promise<void> {
  const found = await readFile(join(pgdata, 'PG_VERSION'), 'utf8').catch(() => undefined);
  if (found === undefined) {
    throw new AppError(
      'unavailable',
      `${pgdata} holds files, but is not a PostgreSQL data folder (it has no PG_VERSION). ` +
        'Nothing was changed. Move it away to begin with an empty database, or set DEFIB_DATA_DIR.',
    );
  }
  if (found.trim() === String(major)) return;
  throw new AppError(
    'unavailable',
    `The data in ${pgdata} was written by PostgreSQL ${found.trim()}, and this release of Defib brings ` +
      `PostgreSQL ${major}, which cannot read it. Nothing was changed. To keep the data, start the ` +
      `release of Defib that wrote it, save it with pg_dump, and load it into this one; or serve it with ` +
      `PostgreSQL ${found.trim()} and set DATABASE_URL. To begin anew, set DEFIB_DATA_DIR to another folder.`,
  );
}

/** What initialisations left that were killed half-way. With the lock held, none is under way. */
async function removeHalfMade(pgdata: string): Promise<void> {
  const prefix = `${basename(pgdata)}.init-`;
  for (const name of await readdir(dirname(pgdata))) {
    if (!name.startsWith(prefix)) continue;
    // Its initdb may have outlived the instance for a moment, hence the retries.
    await rm(join(dirname(pgdata), name), { recursive: true, force: true, maxRetries: 10 });
  }
}

async function initialise(
  pgdata: string,
  account: Account,
  binaries: Binaries,
  sync: boolean,
): Promise<void> {
  const folder = await mkdtemp(`${pgdata}.init-`);
  try {
    const [data, passwordFile] = [join(folder, 'data'), join(folder, 'password')];
    const password = randomBytes(24).toString('hex');
    await giveTo(account, folder);
    await writePrivate(passwordFile, password, account);
    const made = await run(
      binaries.initdb,
      [
        `--pgdata=${data}`,
        `--username=${superuser}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        // PostgreSQL's own collation: the same on every machine, and no upgrade of libc changes it.
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--locale=C',
        ...(sync ? [] : ['--no-sync']),
      ],
      account,
    );
    if (!made.ok) throw new AppError('unavailable', initdbFailed(pgdata, made.stderr));
    await writeCredentials(data, { password, port: undefined }, account);
    await rename(data, pgdata);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function initdbFailed(pgdata: string, stderr: string): string {
  return (
    `Cannot make the database folder ${pgdata}. Free or open what initdb complains about, or set ` +
    `DEFIB_DATA_DIR to another folder, or set DATABASE_URL. initdb says:\n${stderr}`
  );
}

export async function readCredentials(pgdata: string): Promise<Credentials> {
  const path = join(pgdata, credentialsFile);
  try {
    const read: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof read === 'object' && read !== null && 'password' in read) {
      const port = 'port' in read && typeof read.port === 'number' ? read.port : undefined;
      if (typeof read.password === 'string') return { password: read.password, port };
    }
    throw new Error('it holds no password');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError(
      'unavailable',
      `Cannot read the database password from ${path}: ${why}. Restore the file from a backup of the ` +
        'folder, or set DEFIB_DATA_DIR to another folder to begin anew.',
      { cause },
    );
  }
}

/** Replaces the file as a whole: a crash leaves the old one or the new one. */
export async function writeCredentials(
  pgdata: string,
  credentials: Credentials,
  account: Account,
): Promise<void> {
  const path = join(pgdata, credentialsFile);
  await rm(`${path}.new`, { force: true });
  await writePrivate(`${path}.new`, JSON.stringify(credentials), account);
  await rename(`${path}.new`, path);
}

async function writePrivate(path: string, content: string, account: Account): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(`${content}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await giveTo(account, path);
}

async function giveTo(account: Account, path: string): Promise<void> {
  if (!account.own) await chown(path, account.uid, account.gid);
}
