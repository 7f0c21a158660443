import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Binaries } from './binaries.ts';
import { writeCredentials, writePrivate } from './credentials.ts';
import type { Place } from './place.ts';
import { run } from './run.ts';

export const superuser = 'defib';

/**
 * Makes sure that a complete cluster of the right version is at `pgdata`, made new if there is
 * nothing. It is made in a sibling and renamed, so that what is at `pgdata` is always whole, and
 * nothing there is ever deleted. The caller holds the lock of the folder.
 *
 * @param sync whether the new files must be on disk before they count
 */
export async function ensureCluster(
  place: Place,
  binaries: Binaries,
  sync: boolean,
): Promise<'created' | 'found'> {
  const present = await readdir(place.pgdata).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (present.length > 0) {
    await checkVersion(place.pgdata, binaries.major);
    return 'found';
  }
  await removeHalfMade(place.pgdata);
  await initialise(place, binaries, sync);
  return 'created';
}

async function checkVersion(pgdata: string, major: number): Promise<void> {
  const file = await readFile(join(pgdata, 'PG_VERSION'), 'utf8').catch(() => undefined);
  const found = file?.trim();
  if (found === String(major)) return;
  if (found === undefined) {
    throw new AppError(
      'unavailable',
      `${pgdata} holds files, but is not a PostgreSQL data folder (it has no PG_VERSION). Nothing was ` +
        'changed. Move it away to begin with an empty database, or set DEFIB_DATA_DIR.',
    );
  }
  throw new AppError(
    'unavailable',
    `The data in ${pgdata} was written by PostgreSQL ${found}, and this release of Defib brings ` +
      `PostgreSQL ${major}, which cannot read it. Nothing was changed. To keep the data, start the ` +
      'release of Defib that wrote it, save it with pg_dump and load it into this one; or serve it ' +
      `with a PostgreSQL ${found} of your own and set DATABASE_URL. To begin with an empty database, ` +
      'set DEFIB_DATA_DIR to another folder.',
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

async function initialise(place: Place, binaries: Binaries, sync: boolean): Promise<void> {
  const { pgdata, account } = place;
  const folder = await mkdtemp(`${pgdata}.init-`);
  try {
    const [data, passwordFile] = [join(folder, 'data'), join(folder, 'password')];
    const password = randomBytes(24).toString('hex');
    if (!account.own) await chown(folder, account.uid, account.gid);
    await writePrivate(passwordFile, password, account);
    const flags = [`--pgdata=${data}`, `--pwfile=${passwordFile}`, ...initdbFlags];
    const made = await run(binaries.initdb, sync ? flags : [...flags, '--no-sync'], account);
    if (!made.ok) throw initdbFailed(pgdata, made.stderr);
    await writeCredentials(data, { password }, account);
    await rename(data, pgdata);
    if (sync) await syncFolder(dirname(pgdata));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const initdbFlags = [
  `--username=${superuser}`,
  // Anyone on this machine can connect to the port: nobody gets in without the password.
  '--auth=scram-sha-256',
  '--encoding=UTF8',
  // PostgreSQL's own collation: the same on every machine, and no upgrade of libc changes it.
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--locale=C',
];

/** Without it a power cut could take back the rename, and the next start would begin anew. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

function initdbFailed(pgdata: string, stderr: string): AppError {
  return new AppError(
    'unavailable',
    `Cannot make the database folder ${pgdata}. Fix what initdb complains about, or set DEFIB_DATA_DIR ` +
      `to another folder, or set DATABASE_URL to use a server of your own. initdb says:\n${stderr}`,
  );
}
