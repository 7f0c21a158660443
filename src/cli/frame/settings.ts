import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { userDataDir } from '../../data-dir.ts';
import { ConfigError } from '../../config.ts';
import { loadEnvFile } from '../../env-file.ts';
import { CliError } from './errors.ts';
import { note } from './output.ts';

/**
 * Of a service that the command starts, the data are the user's, in whatever folder it is called: in that of a repository
 * they would be in the way of its owner.
 */
export function useUserDataDir(): void {
  if (process.env['DEFIB_DATA_DIR']) return;
  const own = userDataDir(process.env);
  process.env['DEFIB_DATA_DIR'] = own;
  if (existsSync(resolve('.defib/postgres')) && !existsSync(own)) {
    note(
      `defib: ${resolve('.defib')} holds the data of another start; DEFIB_DATA_DIR=.defib goes on with them.`,
    );
  }
}

/** Takes the settings in `.env`, or in the file that is named, and says so in one line. */
export function readSettings(named?: string): void {
  try {
    const told = loadEnvFile(process.env, named);
    if (told !== undefined) note(`defib: ${told}`);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CliError('bad_settings', error.message);
  }
}
