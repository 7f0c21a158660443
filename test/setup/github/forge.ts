import {
  createGitHubForge,
  type GitHubOptions,
} from '../../../src/services/forge/github/github.ts';
import { createLog } from '../../../src/log.ts';
import type { Forge } from '../../../src/services/forge/forge.ts';

const silent = createLog({ level: 'silent', service: 'test' });

/** The real adapter, against a fake GitHub: with quick repetitions, for which tests need not wait. */
export function testForge(url: string, options: Partial<GitHubOptions> = {}): Forge {
  return createGitHubForge({
    apiUrl: url,
    auth: { kind: 'token', token: 'test-token' },
    log: silent,
    retryBaseMs: 1,
    ...options,
  });
}
