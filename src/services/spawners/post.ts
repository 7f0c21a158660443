import { lookup } from 'node:dns/promises';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { BlockList, isIP } from 'node:net';
import { AppError } from '../../errors.ts';

export type PostOptions = {
  body: string;
  headers: Record<string, string>;
  /** Also to addresses that are not public, and without TLS. */
  allowPrivate: boolean;
  timeoutMs?: number;
  signal: AbortSignal;
};

const TIMEOUT_MS = 15_000;

/**
 * Posts to an address that an operator gave. The name is resolved once, the address checked, and that
 * very address connected to, so that a name cannot turn to another one in between. Redirects are not
 * followed.
 *
 * @throws AppError `invalid` (the address may not be used) or `unavailable` (no 2xx in time)
 */
export async function postJson(url: URL, options: PostOptions): Promise<void> {
  if (url.protocol !== 'https:' && !(options.allowPrivate && url.protocol === 'http:')) {
    throw refused(url, 'it is not https');
  }
  const address = await resolve(url, options.allowPrivate);
  const status = await post(url, address, options);
  if (status >= 200 && status < 300) return;
  const what = status >= 300 && status < 400 ? 'a redirect, which is not followed' : 'an error';
  throw new AppError('unavailable', `The webhook ${url.origin} answered ${status}, ${what}.`, {
    transient: true,
  });
}

async function resolve(url: URL, allowPrivate: boolean): Promise<string> {
  const name = url.hostname.replace(/^\[|\]$/g, '');
  const found = await lookup(name, { all: true }).catch((cause: unknown) => {
    throw new AppError('unavailable', `The webhook's host ${name} cannot be found.`, {
      transient: true,
      cause,
    });
  });
  const [first] = found;
  const isPrivate = found.some(({ address }) => !isPublic(address));
  if (!first || (isPrivate && !allowPrivate)) throw refused(url, 'its address is not public');
  return first.address;
}

function refused(url: URL, why: string): AppError {
  return new AppError(
    'invalid',
    `The webhook ${url.origin} is refused: ${why}. Set DEFIB_WEBHOOK_ALLOW_PRIVATE=true to allow it.`,
  );
}

// https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry.
const NOT_PUBLIC = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  NOT_PUBLIC.addSubnet(network, prefix, 'ipv4');
}
const GLOBAL_IPV6 = new BlockList();
GLOBAL_IPV6.addSubnet('2000::', 3, 'ipv6');
// Of those: documentation, benchmarks, and addresses that carry an IPv4 one inside.
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  NOT_PUBLIC.addSubnet(network, prefix, 'ipv6');
}

/** Whether an address is one of the public internet. */
export function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !NOT_PUBLIC.check(address, 'ipv4');
  return GLOBAL_IPV6.check(address, 'ipv6') && !NOT_PUBLIC.check(address, 'ipv6');
}

function post(url: URL, address: string, options: PostOptions): Promise<number> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  const limit = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  return new Promise((done, failed) => {
    const sent = request(
      url,
      {
        method: 'POST',
        headers: {
          ...options.headers,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(options.body),
        },
        lookup: (_name, how, found) => {
          const family = isIP(address);
          if (how.all) found(null, [{ address, family }]);
          else found(null, address, family);
        },
        signal: AbortSignal.any([options.signal, limit]),
      },
      (answer) => {
        answer.resume();
        done(answer.statusCode ?? 0);
      },
    );
    sent.once('error', (cause) => {
      const why = limit.aborted ? 'did not answer in time' : 'cannot be reached';
      failed(
        new AppError('unavailable', `The webhook ${url.origin} ${why}.`, {
          transient: true,
          cause,
        }),
      );
    });
    sent.end(options.body);
  });
}
