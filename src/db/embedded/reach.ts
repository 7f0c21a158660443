import { dirname } from 'node:path';
import type { Account } from './account.ts';
import { run } from './run.ts';

/** `/a/b/c` → `['/', '/a', '/a/b', '/a/b/c']` */
function pathsTo(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...pathsTo(parent), path];
}

// The account itself is asked, because mode bits alone say nothing about ACLs or mount options.
const firstNotExecutable = 'for p; do [ -x "$p" ] || { printf %s "$p"; exit 1; }; done';

/**
 * The first folder (or program) on the way to the absolute `path` that `account` may not enter (or
 * run), for example `/root`; `undefined` when it gets through.
 */
export async function firstClosed(path: string, account: Account): Promise<string | undefined> {
  const { ok, stdout, stderr } = await run(
    '/bin/sh',
    ['-c', firstNotExecutable, 'sh', ...pathsTo(path)],
    account,
  );
  if (ok) return undefined;
  return stdout || `${path} (${stderr})`;
}
