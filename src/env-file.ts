import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { ConfigError, isSetting } from './config.ts';

/** Taken from a file that may be another program's, they would open its database to us, or us to its network. */
const DELICATE = /^(?:DATABASE_URL|REDIS_URL|HOST)(?:_FILE)?$/;

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url));

let isRead = false;

/**
 * Takes settings from `.env` in this folder, or from the file that is named, where the environment does not have
 * them. Once in a process: what starts a service may come here before the service does.
 *
 * @param named by whoever starts the service
 * @returns what was taken and what was not, in one line; undefined: nothing
 * @throws ConfigError where the file is there, or named, and cannot be read
 */
export function loadEnvFile(env: NodeJS.ProcessEnv, named?: string): string | undefined {
  if (isRead) return undefined;
  isRead = true;
  const file = resolve(named ?? '.env');
  const text = readIfThere(file, named !== undefined);
  if (text === undefined) return undefined;
  const given = Object.entries(parseEnv(text)).filter(([name]) => isSetting(name));
  const isOurs =
    named !== undefined ||
    dirname(file) === resolve(CHECKOUT) ||
    given.some(([name]) => name.startsWith('DEFIB_'));
  const found: Record<'taken' | 'kept' | 'left', string[]> = { taken: [], kept: [], left: [] };
  for (const [name, value] of given) {
    if (env[name] !== undefined) found.kept.push(name);
    else if (!isOurs && DELICATE.test(name)) found.left.push(name);
    else {
      env[name] = value;
      found.taken.push(name);
    }
  }
  return describe(file, found);
}

function readIfThere(file: string, wanted: boolean): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException;
    if (!wanted && (code === 'ENOENT' || code === 'EISDIR')) return undefined;
    throw new ConfigError([`${file} cannot be read: ${code}`]);
  }
}

/** Names alone: values may be secrets. */
function describe(
  file: string,
  { taken, kept, left }: Record<'taken' | 'kept' | 'left', string[]>,
): string | undefined {
  const parts = [
    ...(taken.length > 0 ? [`taken: ${taken.join(', ')}`] : []),
    ...(kept.length > 0 ? [`set already: ${kept.join(', ')}`] : []),
    ...(left.length > 0
      ? [
          `not taken, as it may be another program's: ${left.join(', ')} (--env-file ${file} takes it)`,
        ]
      : []),
  ];
  return parts.length === 0 ? undefined : `settings in ${file}: ${parts.join('; ')}`;
}
