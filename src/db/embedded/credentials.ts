import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { Account } from './account.ts';

/** What a client needs to get in, and the port of the last start. */
const schema = z.object({ password: z.string().min(1), port: z.number().int().optional() });
export type Credentials = z.infer<typeof schema>;

/** Kept inside the cluster's folder, so that the two are made, moved and deleted together. */
const fileIn = (pgdata: string) => join(pgdata, 'defib.json');

export async function readCredentials(pgdata: string): Promise<Credentials> {
  const path = fileIn(pgdata);
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    throw new AppError(
      'unavailable',
      `Cannot read the database's password from ${path}. Restore that file from a backup of the ` +
        'folder, or set DEFIB_DATA_DIR to another folder to begin with an empty database.',
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
  const partial = `${fileIn(pgdata)}.new`;
  await rm(partial, { force: true });
  await writePrivate(partial, JSON.stringify(credentials), account);
  await rename(partial, fileIn(pgdata));
}

/** Writes a new file that only `account` (and root) can read. It is on disk when this returns. */
export async function writePrivate(path: string, text: string, account: Account): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(`${text}\n`);
    // By the open file, not by its name: the folder belongs to the account, which could swap names.
    if (!account.own) await file.chown(account.uid, account.gid);
    await file.sync();
  } finally {
    await file.close();
  }
}
