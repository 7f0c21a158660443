import type { Context, MiddlewareHandler } from 'hono';
import { AppError } from '../errors.ts';
import type { AppEnv } from './env.ts';

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Refuses changes that another site makes a browser send. A browser adds the operator's password to
 * those by itself, so the password alone does not prove that the operator wanted them.
 */
export function refuseOtherSites(publicUrl: string | undefined): MiddlewareHandler<AppEnv> {
  const publicHost = publicUrl === undefined ? undefined : URL.parse(publicUrl)?.host;
  return async (c, next) => {
    if (!READS.has(c.req.method) && isFromOtherSite(c, publicHost)) {
      throw new AppError('forbidden', 'Changes are taken from the pages of this service only.');
    }
    await next();
  };
}

/** Browsers tell the relation of the sites, or on plain HTTP only the origin; scripts tell neither. */
function isFromOtherSite(c: Context<AppEnv>, publicHost: string | undefined): boolean {
  const site = c.req.header('sec-fetch-site');
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  const origin = c.req.header('origin');
  if (origin === undefined) return false;
  const host = URL.parse(origin)?.host;
  return host === undefined || (host !== c.req.header('host') && host !== publicHost);
}
