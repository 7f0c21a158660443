import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { userDataDir } from '../../data-dir.ts';
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
