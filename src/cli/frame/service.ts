import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Client, createClient } from '../../client/index.ts';
import { CliError } from './errors.ts';

const DEFAULT_URL = 'http://127.0.0.1:4700';

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
      `Set DEFIB_TOKEN, or call defib in the folder where the service runs on this machine: it reads ${credentialsFile()}.`,
    );
  }
  return { url, client: clientFor(url, token) };
}

export const clientFor = (url: string, token: string | undefined): Client =>
  createClient({
    url,
    ...(token !== undefined && { token }),
    fetch: (request) =>
      fetch(request, {
        signal: AbortSignal.any([request.signal, AbortSignal.timeout(ANSWER_MS)]),
      }),
  });

/** @throws CliError `invalid_url` */
export function serviceUrl(): string {
  const url = process.env['DEFIB_URL'] || DEFAULT_URL;
  const protocol = URL.parse(url)?.protocol;
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new CliError(
      'invalid_url',
      `DEFIB_URL is "${url}", which is not an http(s) URL.`,
      `Set it like ${DEFAULT_URL}.`,
    );
  }
  return url.replace(/\/+$/, '');
}

/**
 * `DEFIB_TOKEN`, or else the operator's. The operator token of this machine's service goes to no other
 * machine: a DEFIB_URL that leads elsewhere needs a DEFIB_TOKEN.
 */
export async function findToken(url: string): Promise<string | undefined> {
  if (process.env['DEFIB_TOKEN']) return process.env['DEFIB_TOKEN'];
  if (!isThisMachine(url)) return undefined;
  return process.env['DEFIB_OPERATOR_TOKEN'] || (await readCredentials());
}

const isThisMachine = (url: string): boolean =>
  /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname);

/** Where `defib up` keeps the operator token that it made. */
export const credentialsFile = (): string =>
  join(resolve(process.env['DEFIB_DATA_DIR'] || '.defib'), 'credentials.json');

async function readCredentials(): Promise<string | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(credentialsFile(), 'utf8'));
    if (typeof parsed !== 'object' || parsed === null || !('operatorToken' in parsed)) return;
    return typeof parsed.operatorToken === 'string' ? parsed.operatorToken : undefined;
  } catch {
    // Missing or damaged: "no token" says what to do.
    return undefined;
  }
}
