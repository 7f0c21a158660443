import type { SpawnerDeps } from './create.ts';
import { launch } from './launch.ts';
import type { Spawners } from './spawner.ts';

/**
 * Goes on as the supervisor did that died: in its folder, with its command and what it remembered. The new one
 * finds its place and its prompt itself, as `defib resume` does.
 */
export function createTakeover(deps: SpawnerDeps): Spawners['takeover'] {
  return async (request, { command, cwd, stateDir, path }) => {
    const env = { DEFIB_STATE_DIR: stateDir, PATH: path };
    await launch(deps, request, { args: ['--take-over', '--', ...command], cwd, env });
  };
}
