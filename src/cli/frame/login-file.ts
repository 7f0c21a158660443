import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { markDataDir } from '../../data-dir.ts';
import { CliError } from './errors.ts';

/** What `defib login` keeps: a token for each service, and which of them is meant where nothing else is said. */
const schema = z.object({
  current: z.string().nullable(),
  services: z.record(z.string(), z.object({ token: z.string() })),
});

export type Logins = z.infer<typeof schema>;

/** `XDG_CONFIG_HOME/defib/credentials.json`, for its owner's eyes. */
export function loginFile(env: NodeJS.ProcessEnv = process.env): string {
  const given = env['XDG_CONFIG_HOME'];
  const config = given && isAbsolute(given) ? given : join(env['HOME'] || homedir(), '.config');
  return join(config, 'defib', 'credentials.json');
}

/**
 * Sync, as it is read before anything else is known; it has a few lines.
 *
 * @throws CliError `bad_login_file`: it is there, and cannot be understood
 */
export function readLogins(): Logins {
  const file = loginFile();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { current: null, services: {} };
    throw unreadable(file, code ?? 'unreadable');
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw unreadable(file, 'it is not what "defib login" writes');
  }
}

/** Whole or not at all. Without any service, the file goes. */
export async function writeLogins(logins: Logins): Promise<void> {
  const file = loginFile();
  if (Object.keys(logins.services).length === 0) return await rm(file, { force: true });
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await markDataDir(dirname(file));
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(logins, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, file);
}

const unreadable = (file: string, why: string): CliError =>
  new CliError(
    'bad_login_file',
    `${file} cannot be read: ${why}.`,
    'Remove it, then "defib login".',
  );
