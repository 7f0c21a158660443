import type { SyncState } from '../../db/queries/repo-sync.ts';

const MOST_NAMES = 5;

const fullName = ({ owner, name }: SyncState) => `${owner}/${name}`;

function namesOf(repos: SyncState[]): string {
  const names = repos.slice(0, MOST_NAMES).map(fullName).join(', ');
  return repos.length > MOST_NAMES ? `${names} and ${repos.length - MOST_NAMES} more` : names;
}

/**
 * One warning for each repository whose issues are not up to date for a reason that someone should
 * know. Without credentials all share one small limit, so that is said once for all of them.
 */
export function syncWarnings(repos: SyncState[], options: { anonymous: boolean }): string[] {
  const sharesLimit = (repo: SyncState) => options.anonymous && repo.failureKind === 'rate_limited';
  const limited = repos.filter(sharesLimit);
  const warnings = repos
    .filter((repo) => !sharesLimit(repo))
    .flatMap((repo) => {
      const text = repo.failureText ?? (repo.synced ? undefined : FIRST_SYNC);
      return text === undefined ? [] : [`sync issues: ${fullName(repo)}: ${text}`];
    });
  const shared = limited[0]?.failureText;
  return shared ? [...warnings, `sync issues: ${namesOf(limited)}: ${shared}`] : warnings;
}

const FIRST_SYNC = 'Its first sync is still under way; a later heartbeat will have its issues.';
