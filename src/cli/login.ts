import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text as readAll } from 'node:stream/consumers';
import type { Command } from 'commander';
import { unwrap } from '../client/index.ts';
import { CliError } from './frame/errors.ts';
import { loginFile, readLogins, writeLogins } from './frame/login-file.ts';
import { note } from './frame/output.ts';
import { checkedUrl, clientFor, DEFAULT_URL, localService } from './frame/service.ts';

type Options = { url?: string; token?: string };

export function define(command: Command): void {
  command
    .description(
      'Keeps the address of a service and a token for it, for your eyes only, so that commands find both\n' +
        'from any folder. Asks on a terminal for what is not given; else the token is read from stdin.',
    )
    .option('--url <url>', 'where the service is; default: DEFIB_URL, or the one on this machine')
    .option(
      '--token <token>',
      'a token of it; others of this machine may see it in the process list',
    )
    .addHelpText(
      'after',
      `
Examples:
  defib login
  defib login --url https://defib.example.com < token.txt
  ssh server defib token issue --operator | defib login --url https://defib.example.com

DEFIB_URL and DEFIB_TOKEN still win. Your own service on this machine needs no login.`,
    )
    .action(login);
}

async function login(options: Options): Promise<void> {
  const url = await urlOf(options);
  const token = (options.token ?? (await askToken(url))).trim();
  if (token === '')
    throw new CliError('no_token', 'No token was given.', `Pipe one in, or give --token.`);
  const caller = await unwrap(clientFor(url, token).GET('/api/me', {}));
  const { services } = readLogins();
  await writeLogins({ current: url, services: { ...services, [url]: { token } } });
  note(`Logged in to ${url} as ${describe(caller)}; kept in ${loginFile()}.`);
}

function describe({ scope, agentName }: { scope: string; agentName: string | null }): string {
  if (scope === 'operator') return 'an operator';
  return scope === 'agent' ? `the agent "${agentName}"` : `a session of "${agentName}"`;
}

async function urlOf({ url }: Options): Promise<string> {
  if (url !== undefined) return checkedUrl(url, '--url');
  const known = process.env['DEFIB_URL'] || localService()?.url || DEFAULT_URL;
  if (process.env['DEFIB_URL'] || !process.stdin.isTTY) return checkedUrl(known, 'DEFIB_URL');
  const asked = await ask(`Where is the service? [${known}] `, process.stderr);
  return checkedUrl(asked || known, 'That');
}

async function askToken(url: string): Promise<string> {
  if (!process.stdin.isTTY) return await readAll(process.stdin);
  process.stderr.write(`A token for ${url} (it is not shown): `);
  // What is typed is not echoed.
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const token = await ask('', silent, true);
  process.stderr.write('\n');
  return token;
}

async function ask(
  question: string,
  output: NodeJS.WritableStream,
  terminal?: boolean,
): Promise<string> {
  const lines = createInterface({
    input: process.stdin,
    output,
    ...(terminal !== undefined && { terminal }),
  });
  // End of input, or Ctrl-C: nobody answers any more.
  const given = new AbortController();
  lines.once('close', () => given.abort());
  try {
    return (await lines.question(question, { signal: given.signal })).trim();
  } catch {
    throw new CliError('not_asked', 'No answer was given.', 'Give --url and --token.');
  } finally {
    lines.close();
  }
}
