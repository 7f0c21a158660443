import { isIP } from 'node:net';
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../errors.ts';
import type { AppEnv } from './env.ts';

/** For those who start and balance processes, under whatever name; they tell nothing. */
const OPEN = new Set(['/healthz', '/readyz']);

/** Names that nobody can register, so that no stranger's name server answers for them. */
const PRIVATE =
  /(?:^|\.)(?:svc|svc\.cluster\.local|cluster\.local|local|internal|home\.arpa|test)$/;

/**
 * Refuses requests to names that are not this service's. A page of another site can let its own name lead to
 * this machine (DNS rebinding), and the browser then takes our answers for that site's.
 *
 * Addresses are always right: a browser that shows one has asked for it. On loopback, so are the names of
 * loopback; else also names without a dot, as those of services in a cluster or a compose file, and the private
 * ones. `publicUrl` and `allowed` add to those: `*.example.com`, or `*` for all.
 */
export function refuseOtherHosts(options: {
  /** Where it listens. */
  host: string;
  publicUrl: string | undefined;
  allowed: readonly string[];
}): MiddlewareHandler<AppEnv> {
  const isOurs = createHostCheck(options);
  return async (c, next) => {
    const host = c.req.header('host');
    // What was made within the process has none.
    if (host === undefined || OPEN.has(c.req.path) || isOurs(host)) return next();
    throw new AppError(
      'forbidden',
      'This service does not answer to the name in the request. Operators: set DEFIB_PUBLIC_URL, or add the name to DEFIB_ALLOWED_HOSTS.',
    );
  };
}

/** @returns whether a `Host` header names this service */
export function createHostCheck(options: {
  host: string;
  publicUrl: string | undefined;
  allowed: readonly string[];
}): (header: string) => boolean {
  const { publicUrl, allowed } = options;
  const publicName = publicUrl === undefined ? undefined : nameOf(new URL(publicUrl).host);
  const names = new Set([
    publicName,
    nameOf(options.host),
    ...allowed.map((name) => name.toLowerCase()),
  ]);
  const suffixes = allowed
    .filter((name) => name.startsWith('*.'))
    .map((name) => name.slice(1).toLowerCase());
  const onLoopback = isLoopback(nameOf(options.host));
  return (header) => {
    const name = nameOf(header);
    if (isIP(name) !== 0 || isLoopback(name) || names.has(name) || names.has('*')) return true;
    if (suffixes.some((suffix) => name.endsWith(suffix))) return true;
    return !onLoopback && (/^[a-z0-9_-]+$/.test(name) || PRIVATE.test(name));
  };
}

const isLoopback = (name: string): boolean =>
  name === 'localhost' ||
  name.endsWith('.localhost') ||
  name === '::1' ||
  (isIP(name) === 4 && name.startsWith('127.'));

/** Without its port, the brackets of IPv6 and a last dot. */
function nameOf(host: string): string {
  const lower = host.trim().toLowerCase();
  const v6 = /^\[([^\]]*)\]/.exec(lower)?.[1];
  if (v6 !== undefined || isIP(lower) === 6) return v6 ?? lower;
  return lower.replace(/:\d*$/, '').replace(/\.$/, '');
}
