/*
 * Preloaded into a worker (`--import`): what it imports of git's work dies by SIGKILL when it reaches the
 * stage that DIE_AT names, as in `capture:scanned`.
 */
import { flushCompileCache, registerHooks } from 'node:module';
import { capture as realCapture } from '../../src/services/git/capture.ts';
import { moveCheckpointRef as realMove } from '../../src/services/git/publish.ts';
import { restore as realRestore } from '../../src/services/git/restore/restore.ts';

export * from '../../src/services/git/publish.ts';

const dieAt = (verb: string) => (stage: string) => {
  if (process.env['DIE_AT'] !== `${verb}:${stage}`) return;
  // The next one starts the sooner.
  flushCompileCache();
  process.kill(process.pid, 'SIGKILL');
};

export const capture: typeof realCapture = (options) =>
  realCapture({ ...options, onStage: dieAt('capture') });
export const moveCheckpointRef: typeof realMove = (options) =>
  realMove({ ...options, onStage: dieAt('move') });
export const restore: typeof realRestore = (options) =>
  realRestore({ ...options, onStage: dieAt('restore') });

const WRAPPED = /\/services\/git\/(?:capture|publish|restore\/restore)\.ts$/;
const FROM = /\/services\/(?:checkpoints|resume)\//;

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    const wrap = WRAPPED.test(resolved.url) && FROM.test(context.parentURL ?? '');
    return wrap ? { ...resolved, url: import.meta.url } : resolved;
  },
});
