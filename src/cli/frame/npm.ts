import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url));

let byNpm = false;

/**
 * `npm run defib` runs in the checkout of Defib, wherever it was called: the caller's folder is meant. It
 * is not handed on, as what is started from here may run npm too.
 */
export function leaveCheckout(env: NodeJS.ProcessEnv): void {
  const { INIT_CWD: called } = env;
  const isOurs = env['npm_lifecycle_event'] === 'defib' && isCheckout(process.cwd());
  byNpm = isOurs;
  if (!isOurs || !called) return;
  try {
    process.chdir(called);
  } catch {
    // It is gone, or closed to us.
    return;
  }
  delete env['INIT_CWD'];
  delete env['npm_lifecycle_event'];
  env['PWD'] = called;
}

/** The checkout that `npm run` was called on; undefined: it was not. */
export const calledCheckout = (): string | undefined => (byNpm ? CHECKOUT : undefined);

/** Says on stderr that npm has written to stdout before us, where that is no terminal. */
export function warnOfBanner(): void {
  if (!byNpm || process.stdout.isTTY || process.env['npm_config_loglevel'] === 'silent') return;
  process.stderr.write(
    'npm printed its own lines before this: call it as "npm run -s defib --".\n',
  );
}

const isCheckout = (folder: string): boolean => resolve(folder) === resolve(CHECKOUT);
