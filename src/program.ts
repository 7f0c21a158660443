import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';

export type ProgramState = 'found' | 'missing' | 'not executable';

/**
 * Whether a program could be started, as `execvp` looks for it: by its path, else in the folders of `PATH`.
 *
 * @param folder where it would be started; undefined: not known, so that a relative path counts as found
 */
export async function findProgram(
  program: string,
  { path = process.env['PATH'] ?? '', folder }: { path?: string; folder?: string } = {},
): Promise<ProgramState> {
  if (program.includes('/')) {
    if (folder === undefined && !isAbsolute(program)) return 'found';
    return stateOf(resolve(folder ?? '/', program));
  }
  let best: ProgramState = 'missing';
  for (const each of path.split(delimiter)) {
    const state = await stateOf(join(resolve(folder ?? '/', each), program));
    if (state === 'found') return state;
    if (state === 'not executable') best = state;
  }
  return best;
}

async function stateOf(file: string): Promise<ProgramState> {
  const info = await stat(file).catch(() => undefined);
  if (!info) return 'missing';
  if (!info.isFile()) return 'not executable';
  return access(file, constants.X_OK).then(
    () => 'found',
    () => 'not executable',
  );
}
