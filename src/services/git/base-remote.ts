import type { BaseInfo } from './capture-types.ts';
import type { Remote } from './config.ts';

/** The remote whose commits a bundle may build on: that of the branch, or else the one at hand. */
export function baseRemote(base: Pick<BaseInfo, 'remotes' | 'upstream'>): Remote | undefined {
  const name = base.upstream?.remote ?? 'origin';
  return base.remotes.find((it) => it.name === name) ?? base.remotes[0];
}
