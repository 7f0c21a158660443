import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Client, createClient } from '../../client/index.ts';
import { userDataDir } from '../../data-dir.ts';
import { readService, type RunningService } from '../../service-file.ts';
import { CliError } from './errors.ts';
import { readLogins } from './login-file.ts';
import { calledCheckout } from './npm.ts';
import { shortIdMiddleware } from './short-id.ts';

export const DEFAULT_URL = 'http://127.0.0.1:4700';

/** No call of ours is held open for longer: runs are waited for 60 s at most. */
const ANSWER_MS = 90_000;

export type Service = { url: string; client: Client };

/**
 * The service that the environment names, with a token for it.
 *
 * @throws CliError `no_token` where there is none
 */
export async function openService(): Promise<Service> {
  const url = serviceUrl();
  const token = await findToken(url);
  if (token === undefined) {
    throw new CliError(
      'no_token',
      `There is no token for ${url}.`,
      `Set DEFIB_TOKEN, or "defib login --url ${url}". Of a service on this machine, ${credentialsFile(url)} is read.`,
    );
  }
  return { url, client: clientFor(url, token) };
}

/** A client whose calls may name a session, a run or a token by the beginning of its id. */
export function clientFor(url: string, token: string | undefined): Client {
  const client = createClient({
    url,
    ...(token !== undefined && { token }),
    fetch: (request) =>
      fetch(request, {
        signal: AbortSignal.any([request.signal, AbortSignal.timeout(ANSWER_MS)]),
      }),
  });
  client.use(shortIdMiddleware(client));
  return client;
}

/**
 * `DEFIB_URL`, or else where "defib login" was to, or else the service that runs on this machine.
 *
 * @throws CliError `invalid_url`
 */
export function serviceUrl(): string {
  const given = process.env['DEFIB_URL'];
  const url = given || readLogins().current || localService()?.url || DEFAULT_URL;
  return checkedUrl(url, 'DEFIB_URL');
}

/** @throws CliError `invalid_url` */
export function checkedUrl(url: string, name: string): string {
  const protocol = URL.parse(url)?.protocol;
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new CliError(
      'invalid_url',
      `${name} is "${url}", which is not an http(s) URL.`,
      `Set it like ${DEFAULT_URL}.`,
    );
  }
  return url.replace(/\/+$/, '');
}

/**
 * `DEFIB_TOKEN`, or that of "defib login" for this service, or else the operator's. The operator token of this
 * machine's service goes to no other machine: a URL that leads elsewhere needs a token of its own.
 */
export async function findToken(url: string): Promise<string | undefined> {
  if (process.env['DEFIB_TOKEN']) return process.env['DEFIB_TOKEN'];
  const { services } = readLogins();
  if (Object.hasOwn(services, url)) return services[url]?.token;
  if (!isThisMachine(url)) return undefined;
  return process.env['DEFIB_OPERATOR_TOKEN'] || (await readCredentials(url));
}

const isThisMachine = (url: string): boolean =>
  /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname);

/**
 * Where a service of this user keeps its data: as it is told, or else that of `npm start` in this folder, or in the
 * checkout that `npm run` was called on, and that of `defib up`.
 */
export function dataDirs(env: NodeJS.ProcessEnv = process.env): string[] {
  const given = env['DEFIB_DATA_DIR'];
  if (given) return [resolve(given)];
  return [resolve('.defib'), resolve(calledCheckout() ?? '', '.defib'), userDataDir(env)];
}

/** The service of this user that runs now. */
export function localService(): (RunningService & { dataDir: string }) | undefined {
  for (const dataDir of dataDirs()) {
    const service = readService(dataDir);
    if (service) return { ...service, dataDir };
  }
  return undefined;
}

/** Where the operator token is that the service on this machine has made. */
export function credentialsFile(url?: string): string {
  const dirs = dataDirs();
  const serving = url === undefined ? undefined : dirs.find((dir) => readService(dir)?.url === url);
  const files = dirs.map((dir) => join(dir, 'credentials.json'));
  const found = serving
    ? join(serving, 'credentials.json')
    : files.find((file) => existsSync(file));
  return found ?? files.at(-1) ?? '';
}

async function readCredentials(url: string): Promise<string | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(credentialsFile(url), 'utf8'));
    if (typeof parsed !== 'object' || parsed === null || !('operatorToken' in parsed)) return;
    return typeof parsed.operatorToken === 'string' ? parsed.operatorToken : undefined;
  } catch {
    // Missing or damaged: "no token" says what to do.
    return undefined;
  }
}
