import { AppError } from '../../errors.ts';
import { run } from './run.ts';

/** An operating-system account. `own` is true for the one that runs this process. */
export type Account = { name: string; uid: number; gid: number; own: boolean };

/**
 * PostgreSQL refuses to run as root. `postgres` is the account that every package of it uses,
 * `_postgres` its name on macOS; `nobody` exists everywhere. None is created: a service that adds
 * accounts to the machine would surprise more than one that borrows.
 */
const unprivileged = ['postgres', '_postgres', 'nobody'];

export function ownAccount(): Account {
  const uid = process.getuid?.() ?? -1;
  return { name: `uid ${uid}`, uid, gid: process.getgid?.() ?? -1, own: true };
}

async function lookUp(name: string): Promise<Account | undefined> {
  const own = ownAccount();
  const [uid, gid] = await Promise.all([
    run('id', ['-u', name], own),
    run('id', ['-g', name], own),
  ]);
  if (!uid.ok || !gid.ok) return undefined;
  return { name, uid: Number(uid.stdout), gid: Number(gid.stdout), own: false };
}

/**
 * The account that runs the server: ours, or, when we are root, the owner of the cluster that is
 * there, or else the first unprivileged account that this machine has.
 *
 * @param owner uid and gid of an existing cluster's folder
 */
export async function chooseAccount(
  owner: { uid: number; gid: number } | undefined,
  pgdata: string,
): Promise<Account> {
  const own = ownAccount();
  if (own.uid !== 0) {
    if (owner === undefined || owner.uid === own.uid) return own;
    throw new AppError(
      'unavailable',
      `The database folder ${pgdata} belongs to uid ${owner.uid}, but Defib runs as uid ${own.uid}. ` +
        `Run Defib as that user, give the folder away with "chown -R ${own.uid} ${pgdata}", ` +
        'or set DEFIB_DATA_DIR to another folder.',
    );
  }
  if (owner !== undefined && owner.uid !== 0)
    return { name: `uid ${owner.uid}`, ...owner, own: false };
  for (const name of unprivileged) {
    const account = await lookUp(name);
    if (account !== undefined && account.uid !== 0) return account;
  }
  throw new AppError(
    'unavailable',
    'PostgreSQL does not run as root, and this machine has no account "postgres" or "nobody" that it ' +
      'could use instead. Run Defib as an ordinary user, or set DATABASE_URL to a server of your own.',
  );
}
