import {
  createGitHubForge,
  type GitHubOptions,
} from '../../../src/services/forge/github/github.ts';
import type { Forge } from '../../../src/services/forge/forge.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * The real adapter, against a fake GitHub: quick repetitions and no spacing of writes, so that
 * tests need not wait for either.
 */
export function testForge(url: string, options: Partial<GitHubOptions> = {}): Forge {
  return createGitHubForge({
    apiUrl: url,
    auth: { kind: 'token', token: 'test-token' },
    log: silent,
    retryBaseMs: 1,
    throttle: false,
    ...options,
  });
}
