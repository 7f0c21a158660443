import { existsSync } from 'node:fs';
import { appendFile, mkdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import {
  isAlive,
  newDataDir,
  prepareDataDirs,
  postmasterPid,
  query,
  start,
} from './embedded/harness.ts';

let makeDataDir: () => Promise<string>;

beforeAll(async () => {
  const prepared = await prepareDataDirs();
  makeDataDir = prepared.makeDataDir;
  return prepared.discard;
});

const portOf = (url: string) => Number(new URL(url).port);
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

async function failure(starting: Promise<unknown>): Promise<AppError> {
  const error = await starting.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
}

test('a new folder gets a UTF-8 database that only its password opens', async () => {
  const dataDir = await newDataDir();
  const { url, warnings } = await start(dataDir);

  const [row] = await query(
    url,
    `SELECT current_database() AS name, getdatabaseencoding() AS encoding,
       current_setting('listen_addresses') AS addresses,
       current_setting('unix_socket_directories') AS sockets`,
  );
  expect(row).toEqual({ name: 'defib', encoding: 'UTF8', addresses: '127.0.0.1', sockets: '' });

  const wrong = new URL(url);
  wrong.password = 'guess';
  await expect(query(wrong.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  wrong.password = '';
  await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow();
  expect(await modeOf(join(dataDir, 'postgres'))).toBe(0o700);
  expect(await modeOf(join(dataDir, 'postgres', 'defib.json'))).toBe(0o600);
  expect(await modeOf(join(dataDir, 'postgres.lock'))).toBe(0o600);
  expect(warnings).toEqual([]);
});

test('data and port stay the same from start to start', async () => {
  const dataDir = await makeDataDir();
  const first = await start(dataDir);
  await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS n');
  await first.stop();

  const second = await start(dataDir);
  expect(second.url).toBe(first.url);
  expect(await query(second.url, 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
  await second.stop();

  // Somebody else takes the port: another one, which then stays.
  const squatter = createServer().listen(portOf(first.url), '127.0.0.1');
  onTestFinished(() => void squatter.close());
  await once(squatter, 'listening');
  const third = await start(dataDir);
  expect(portOf(third.url)).not.toBe(portOf(first.url));
  await third.stop();
  squatter.close();
  const fourth = await start(dataDir);
  expect(fourth.url).toBe(third.url);
});

test('stop is a clean shutdown, also of connections in use, and may be called again', async () => {
  const dataDir = await makeDataDir();
  const server = await start(dataDir);
  const pid = postmasterPid(dataDir);
  const sleeping = query(server.url, 'SELECT pg_sleep(600)').catch((error: Error) => error);

  await Promise.all([server.stop(), server.stop()]);
  await server.stop();
  expect(await sleeping).toBeInstanceOf(Error);
  expect(isAlive(pid)).toBe(false);
  expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false);

  // An unclean one would have to be recovered from.
  await start(dataDir);
  const log = await readFile(join(dataDir, 'postgres.log'), 'utf8');
  expect(log).toContain('database system was shut down at');
  expect(log).not.toContain('recovery');
});

test('of two first starts at the same time one wins, the other names folder and holder', async () => {
  const dataDir = await newDataDir();
  const atOnce = { lockTimeoutMs: 0 };
  const results = await Promise.allSettled([start(dataDir, atOnce), start(dataDir, atOnce)]);
  const lost = results.find((result) => result.status === 'rejected');
  const won = results.find((result) => result.status === 'fulfilled');

  expect(await query(won!.value.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(lost!.reason).toMatchObject({ code: 'conflict' });
  expect(lost!.reason.message).toContain(`${dataDir} is in use`);
  expect(lost!.reason.message).toContain(`pid ${process.pid}`);
  expect(lost!.reason.message).toMatch(/Stop that one.*DEFIB_DATA_DIR.*DATABASE_URL/);

  await won!.value.stop();
  await start(dataDir);
});

test('data of another major version is refused, and left alone', async () => {
  const dataDir = await makeDataDir();
  await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '15\n');
  const { message } = await failure(start(dataDir));
  expect(message).toMatch(/written by PostgreSQL 15.*brings PostgreSQL 18.*pg_dump/s);
  await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '18\n');
  await start(dataDir);
});

test('a folder with something else in it is refused, and left alone', async () => {
  const dataDir = await newDataDir();
  const precious = join(dataDir, 'postgres', 'thesis.txt');
  await mkdir(join(dataDir, 'postgres'), { recursive: true, mode: 0o755 });
  await writeFile(precious, 'precious');
  expect((await failure(start(dataDir))).message).toContain('not a PostgreSQL data folder');
  expect(await readFile(precious, 'utf8')).toBe('precious');
});

test('an empty folder, as a mounted volume begins, is filled', async () => {
  const dataDir = await newDataDir();
  await mkdir(join(dataDir, 'postgres'), { recursive: true, mode: 0o755 });
  const { url } = await start(dataDir);
  expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test("a failed start shows the end of the server's log, and can be mended", async () => {
  const dataDir = await makeDataDir();
  const config = join(dataDir, 'postgres', 'postgresql.conf');
  const { size } = await stat(config);
  await appendFile(config, '\nnonsense = 1\n');
  const { code, message } = await failure(start(dataDir));
  expect(code).toBe('unavailable');
  expect(message).toContain('unrecognized configuration parameter "nonsense"');
  expect(message).toMatch(/DEFIB_DATA_DIR.*DATABASE_URL/s);
  await truncate(config, size);
  await start(dataDir);
});

test('a lost password is named with its file', async () => {
  const dataDir = await makeDataDir();
  await writeFile(join(dataDir, 'postgres', 'defib.json'), '{}');
  expect((await failure(start(dataDir))).message).toContain(join(dataDir, 'postgres/defib.json'));
});

test('a server that is not ready in time is ended', async () => {
  const dataDir = await makeDataDir();
  const { message } = await failure(start(dataDir, { startTimeoutMs: 1 }));
  expect(message).toContain('not ready after 1 ms');
  expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false);
  await start(dataDir);
});

test('a data folder that cannot be is an error that says what to do', async () => {
  const dataDir = await newDataDir();
  await mkdir(dataDir);
  await writeFile(join(dataDir, 'file'), '');
  const { message } = await failure(start(join(dataDir, 'file', 'below')));
  expect(message).toMatch(/Cannot use the data folder .*ENOTDIR.*DEFIB_DATA_DIR/);
});

test('a link to a place that is gone is an error, not an empty database', async () => {
  const dataDir = await newDataDir();
  await mkdir(dataDir);
  await symlink(join(dataDir, 'unmounted', 'postgres'), join(dataDir, 'postgres'));
  expect((await failure(start(dataDir))).message).toMatch(
    /unmounted does not exist.*delete the link/,
  );
});
