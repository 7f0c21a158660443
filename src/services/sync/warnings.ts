import type { SyncState } from '../../db/queries/repo-sync.ts';
import { groupWarnings } from '../group-warnings.ts';

/**
 * A warning for each cause for which issues of repositories are not up to date, as far as someone
 * should know, and how old they are. Without credentials all share one small limit, so that is one
 * cause wherever it shows.
 */
export function syncWarnings(repos: SyncState[], options: { anonymous: boolean }): string[] {
  const limited = (repo: SyncState) => options.anonymous && repo.failureKind === 'rate_limited';
  const shared = repos.find(limited)?.failureText;
  const found = repos.flatMap((repo) => {
    const text = limited(repo) ? shared : causeOf(repo);
    if (text === undefined || text === null) return [];
    return [{ subject: `${repo.owner}/${repo.name}`, text, asOf: repo.syncedAt }];
  });
  return groupWarnings('sync issues', found);
}

function causeOf(repo: SyncState): string | undefined {
  if (repo.failureText !== null) return repo.failureText;
  if (!repo.synced) return FIRST_SYNC;
  return repo.state !== 'fresh' && repo.stale ? LATE : undefined;
}

const FIRST_SYNC = 'Its first sync is still under way; a later heartbeat will have its issues.';
const LATE = 'It is not up to date: its sync waits for its turn, or takes long.';
