import { type Client, DefibError, unwrap } from '../../client/index.ts';
import { CliError } from '../frame/errors.ts';
import { clientFor, credentialsFile, findToken, serviceUrl } from '../frame/service.ts';
import { type Finding, messageOf, ok, skipped, wrong } from './finding.ts';
import { workChecks } from './work.ts';

/** Tokens, retries and GitHub Apps bear less than this; the header itself is whole seconds. */
const MAX_SKEW_SECONDS = 10;

/** Whether the service is there and ready, its clock is ours, and the token is valid. */
export async function serverChecks(): Promise<Finding[]> {
  let url: string;
  try {
    url = serviceUrl();
  } catch (error) {
    const fix = (error instanceof CliError && error.hint) || 'Fix DEFIB_URL.';
    return [wrong('server', messageOf(error), fix)];
  }
  const token = await findToken(url);
  const client = clientFor(url, token);
  const started = Date.now();
  try {
    const { response } = await client.GET('/healthz', {});
    if (!response.headers.has('date') || !response.ok) return [notDefib(url, response.status)];
    return [
      ok('server', `answers on ${url}`),
      clockCheck(response.headers.get('date') ?? '', started, Date.now()),
      ...(await readyChecks(client, token)),
      await tokenCheck(client, url, token),
    ];
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return [
      wrong(
        'server',
        `nothing answers on ${url}: ${messageOf(cause)}`,
        'Start it with "defib up", or set DEFIB_URL to where it runs.',
      ),
      skipped('clock', 'needs the server'),
      skipped('ready', 'needs the server'),
      skipped('token', 'needs the server'),
    ];
  }
}

const notDefib = (url: string, status: number): Finding =>
  wrong(
    'server',
    `${url} answers GET /healthz with ${status}: that is not Defib`,
    'Set DEFIB_URL to where Defib runs.',
  );

/** Compares with the moment in the middle of the call. Times in milliseconds. */
export function clockCheck(date: string, before: number, after: number): Finding {
  // The header has whole seconds, cut off: half a second later is the best guess.
  const skew = (Date.parse(date) + 500 - (before + after) / 2) / 1000;
  const off = `${Math.abs(skew).toFixed(1)} s ${skew > 0 ? 'behind' : 'ahead of'} the server's`;
  return Math.abs(skew) <= MAX_SKEW_SECONDS
    ? ok('clock', `within ${MAX_SKEW_SECONDS} s of the server's`)
    : wrong(
        'clock',
        `this clock is ${off}`,
        'Have both machines set their clocks by NTP: "timedatectl set-ntp true" on Linux.',
      );
}

async function readyChecks(client: Client, token: string | undefined): Promise<Finding[]> {
  const { data, error } = await client.GET('/readyz', {});
  const answer = data ?? error;
  const bad = Object.entries(answer?.checks ?? {}).filter(([, state]) => state !== 'ok');
  // Without a database nothing is known of work.
  if (!data || bad.length > 0) return [notReady(bad)];
  const ready = ok('ready', 'database, migrations and queue are ok');
  const warnings = answer?.warnings ?? [];
  return [ready, ...(token === undefined ? [] : await workChecks(client, warnings))];
}

const notReady = (bad: [string, string][]): Finding =>
  wrong(
    'ready',
    bad.map(([name, state]) => `${name} ${state}`).join('; ') || 'it does not say why not',
    'Look at its log; "defib release" makes the migrations that are pending.',
  );

async function tokenCheck(
  client: Client,
  url: string,
  token: string | undefined,
): Promise<Finding> {
  const getOne = `Set DEFIB_TOKEN, or "defib login". Of a service on this machine, ${credentialsFile(url)} is read.`;
  if (token === undefined) return wrong('token', `there is none for ${url}`, getOne);
  try {
    await unwrap(client.GET('/api/agents', { params: { query: { limit: 1 } } }));
    return ok('token', 'valid, of an operator');
  } catch (error) {
    if (!(error instanceof DefibError)) throw error;
    if (error.code === 'forbidden') return ok('token', 'valid, but not of an operator');
    if (error.code === 'unauthorized') return wrong('token', error.message, getOne);
    return wrong('token', `cannot be checked: ${error.message}`, 'Try again in a few seconds.');
  }
}
