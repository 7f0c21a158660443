import { isAbsolute } from 'node:path';
import { AppError } from '../../errors.ts';
import { withoutCredentials } from './config.ts';
import type { ConfigPair } from './git.ts';
import { insideRoots, realRoots } from './repository.ts';

export type UrlPolicy = {
  /** Folders below which a remote given as a path may lie. */
  roots: readonly string[];
  /** Default: `https`, `ssh` and `file` (a path). `http` sends credentials in the clear. */
  protocols?: readonly Protocol[];
  /** Hosts that may be reached; default: any. */
  hosts?: readonly string[];
};

export type Protocol = 'https' | 'http' | 'ssh' | 'file';

/** What may carry a remote's data, where an operator does or does not allow `http`. */
export const protocolsOf = ({ allowHttp }: { allowHttp: boolean }): Protocol[] => [
  'https',
  'ssh',
  'file',
  ...(allowHttp ? (['http'] as const) : []),
];

export type RemoteUrl = { protocol: Protocol; url: string; host: string | null };

/** What an operator configured for one host. A repository's own configuration is never asked. */
export type Credentials = {
  /** Host with port, where the URL has one: sent nowhere else. */
  host: string;
  username?: string;
  /** Password or token, for https. */
  password?: string;
  /** Shell command for ssh, such as `ssh -i /etc/defib/key`. */
  sshCommand?: string;
};

/**
 * Checks a remote's URL, which may come from a stranger's repository. Only https, ssh and paths under the
 * roots pass; helpers such as `ext::` run commands. User names and passwords are dropped from https URLs.
 */
export async function checkUrl(url: string, policy: UrlPolicy): Promise<RemoteUrl> {
  const remote = await parseUrl(url, policy);
  const protocols = policy.protocols ?? ['https', 'ssh', 'file'];
  if (!protocols.includes(remote.protocol)) throw refused(`${remote.protocol} is not allowed`);
  if (remote.host !== null && policy.hosts && !policy.hosts.includes(remote.host)) {
    throw refused('its host is not among the allowed ones');
  }
  return remote;
}

// No control characters, spaces or anything a shell or an option parser could take amiss.
const PLAIN = /^[A-Za-z0-9._~:/@%+,=[\]-]+$/;
const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?$/;
const USER = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

/** Whether a URL is a folder of the machine itself. */
export const isPathUrl = (url: string): boolean => isAbsolute(url) || /^file:/i.test(url);

async function parseUrl(url: string, policy: UrlPolicy): Promise<RemoteUrl> {
  if (isAbsolute(url)) return pathUrl(url, policy);
  if (url.startsWith('file:///')) return pathUrl(decodePath(url), policy);
  if (!PLAIN.test(url) || url.includes('::')) throw refused('it is not a plain https or ssh URL');
  const web = /^(https?):\/\/([^/]+)\/(.+)$/.exec(withoutCredentials(url));
  if (web?.[1] && web[2] && HOST.test(web[2])) {
    const protocol = web[1] === 'https' ? 'https' : 'http';
    return { protocol, url: withoutCredentials(url), host: web[2].toLowerCase() };
  }
  const ssh =
    /^ssh:\/\/(?:([^@/]+)@)?([^/@]+)(\/.+)$/.exec(url) ??
    (url.includes('://') ? null : /^(?:([^@/:]+)@)?([^/:@]+):(.+)$/.exec(url));
  const [, user, host = '', path = '-'] = ssh ?? [];
  const bad = !HOST.test(host) || path.startsWith('-') || (user !== undefined && !USER.test(user));
  if (bad) throw refused('it is not a plain https or ssh URL');
  return { protocol: 'ssh', url, host: host.toLowerCase() };
}

async function pathUrl(path: string, policy: UrlPolicy): Promise<RemoteUrl> {
  const real = await insideRoots(path, await realRoots(policy.roots), 'The remote');
  return { protocol: 'file', url: real, host: null };
}

function decodePath(url: string): string {
  try {
    return decodeURIComponent(url.slice('file://'.length));
  } catch {
    throw refused('it cannot be read');
  }
}

function refused(why: string): AppError {
  return new AppError(
    'invalid',
    `The URL of the remote is refused: ${why}. Use https, ssh, or a path under DEFIB_WORKTREE_ROOTS.`,
  );
}

export type Access = { config: ConfigPair[]; env: Record<string, string> };

/** Git's settings to reach one remote: that protocol only, and the operator's credentials for its host only. */
export function accessTo(remote: RemoteUrl, credentials: readonly Credentials[]): Access {
  const own = credentials.find((entry) => entry.host.toLowerCase() === remote.host);
  const config: ConfigPair[] = [[`protocol.${remote.protocol}.allow`, 'always']];
  const env: Record<string, string> = {};
  if (remote.protocol === 'ssh') {
    env['GIT_SSH_COMMAND'] = own?.sshCommand ?? 'ssh -o BatchMode=yes';
    env['GIT_SSH_VARIANT'] = 'ssh';
  } else if (own?.password !== undefined && remote.protocol !== 'file') {
    const pair = Buffer.from(`${own.username ?? 'x-access-token'}:${own.password}`);
    config.push(['http.extraHeader', `Authorization: Basic ${pair.toString('base64')}`]);
  }
  return { config, env };
}
