import { template } from './recorded.ts';
import type { FakeIssue, FakeRepo } from './world.ts';

const ISSUE = template('paginate-issues', 0);
const REPO = template('get-repository', 0);
const LABEL = template('add-labels-to-issue', 1);
const MOVED = template('rename-repository', 1);
const INVALID = template('errors', 0);

/** `base` is where the fake listens; pages for people are on github.com, as at GitHub. */
const web = (repo: FakeRepo) => `https://github.com/${repo.owner}/${repo.name}`;
const api = (base: string, repo: FakeRepo) => `${base}/repos/${repo.owner}/${repo.name}`;
const iso = (date: Date) => date.toISOString().replace('.000Z', 'Z');

export function repoBody(base: string, repo: FakeRepo) {
  return {
    ...REPO,
    id: repo.id,
    name: repo.name,
    full_name: `${repo.owner}/${repo.name}`,
    owner: { ...(REPO['owner'] as object), login: repo.owner },
    html_url: web(repo),
    url: api(base, repo),
    has_issues: repo.hasIssues,
    archived: repo.archived,
    // Younger than the recording.
    has_discussions: false,
  };
}

export function labelBody(base: string, repo: FakeRepo, name: string) {
  return { ...LABEL, name, url: `${api(base, repo)}/labels/${encodeURIComponent(name)}` };
}

export function issueBody(base: string, repo: FakeRepo, issue: FakeIssue) {
  const kind = issue.isPullRequest ? 'pull' : 'issues';
  const url = `${api(base, repo)}/issues/${issue.number}`;
  const pull = `${api(base, repo)}/pulls/${issue.number}`;
  const page = `${web(repo)}/${kind}/${issue.number}`;
  return {
    ...ISSUE,
    id: issue.id,
    number: issue.number,
    title: issue.title,
    state: issue.state,
    url,
    repository_url: api(base, repo),
    html_url: page,
    labels: issue.labels.map((name) => labelBody(base, repo, name)),
    created_at: iso(issue.createdAt),
    updated_at: iso(issue.updatedAt),
    closed_at: issue.closedAt && iso(issue.closedAt),
    ...(issue.isPullRequest && {
      pull_request: {
        url: pull,
        html_url: page,
        diff_url: `${page}.diff`,
        patch_url: `${page}.patch`,
      },
    }),
  };
}

export const movedBody = (location: string) => ({ ...MOVED, url: location });

export const invalidBody = (field: string, code: string) => ({
  ...INVALID,
  errors: [{ resource: 'Label', code, field }],
});

/** The form of every refusal since 2024. */
export const errorBody = (status: number, message: string) => ({
  message,
  documentation_url: 'https://docs.github.com/rest',
  status: String(status),
});
