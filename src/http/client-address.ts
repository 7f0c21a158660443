import type { Context } from 'hono';
import type { AppEnv } from './env.ts';

/**
 * Where a request comes from, as its connection says: behind a proxy that is the proxy, as headers can be made
 * up by anybody. Of IPv6 the network, which is what one caller has.
 */
export function clientAddress(c: Context<AppEnv>): string {
  const address = c.env?.incoming?.socket.remoteAddress ?? 'unknown';
  const v4 = /^::ffff:([\d.]+)$/.exec(address)?.[1];
  if (v4 !== undefined || !address.includes(':')) return v4 ?? address;
  const [head = '', tail = ''] = address.split('::');
  const groups = head.split(':').filter(Boolean);
  const rest = tail.split(':').filter(Boolean);
  const zeros = address.includes('::') ? Math.max(0, 8 - groups.length - rest.length) : 0;
  const all = [...groups, ...Array<string>(zeros).fill('0'), ...rest];
  return `${all.slice(0, 4).join(':')}::/64`;
}
