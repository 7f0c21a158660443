import type { Command } from 'commander';
import { CliError } from './frame/errors.ts';
import { loginFile, readLogins, writeLogins } from './frame/login-file.ts';
import { note } from './frame/output.ts';
import { checkedUrl } from './frame/service.ts';

export function define(command: Command): void {
  command
    .description(
      'Forgets what "defib login" keeps of a service. The token stays valid: "defib token revoke" ends it.',
    )
    .option('--url <url>', 'of which service; default: the one that commands go to')
    .action(logout);
}

async function logout(options: { url?: string }): Promise<void> {
  const { current, services } = readLogins();
  const url = options.url === undefined ? current : checkedUrl(options.url, '--url');
  if (url === null || !Object.hasOwn(services, url)) {
    const known = Object.keys(services).join(', ') || 'none';
    throw new CliError(
      'not_found',
      `Nobody is logged in to ${url ?? 'any service'}.`,
      `Known: ${known}.`,
    );
  }
  const { [url]: _, ...left } = services;
  await writeLogins({ current: current === url ? null : current, services: left });
  note(`Logged out of ${url}; ${loginFile()} has nothing of it any more.`);
}
