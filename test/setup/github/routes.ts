import { type Context, Hono } from 'hono';
import { randomBytes } from 'node:crypto';
import { errorBody, invalidBody, issueBody, labelBody, movedBody, repoBody } from './bodies.ts';
import type { FakeIssue, FakeRepo, World } from './world.ts';
import { addLabels, removeLabel } from './world.ts';

type Status = 200 | 201 | 301 | 307 | 403 | 404 | 410 | 422;
const LONGEST_LABEL = 50;

const answer = (c: Context, status: Status, body: object) => c.json(body, status);
const refuse = (c: Context, status: Status, message: string) =>
  answer(c, status, errorBody(status, message));

function redirect(c: Context, location: string) {
  c.header('location', location);
  return answer(c, c.req.method === 'GET' ? 301 : 307, movedBody(location));
}

/** The operations of the REST API that we use, under a repository's name and under its number. */
export function gitHubRoutes(world: World, base: () => string): Hono {
  const app = new Hono();
  /** Answers with what `then` makes of the repository, or that it is not to be found here. */
  function withRepo(c: Context, then: (repo: FakeRepo) => Response | Promise<Response>) {
    const { owner = '', repo = '', id } = c.req.param() as Record<string, string>;
    const url = new URL(c.req.url);
    const found = id ? world.byId.get(Number(id)) : world.byName.get(world.key(owner, repo));
    const former = id ? undefined : world.formerNames.get(world.key(owner, repo));
    if (found && !found.removed) return then(found);
    if (!former || former.removed) return refuse(c, 404, 'Not Found');
    const rest = url.pathname
      .split('/')
      .slice(4)
      .map((part) => `/${part}`);
    return redirect(c, `${base()}/repositories/${former.id}${rest.join('')}${url.search}`);
  }

  function withIssue(
    c: Context,
    then: (repo: FakeRepo, issue: FakeIssue) => Response | Promise<Response>,
  ) {
    return withRepo(c, (repo) => {
      if (!repo.hasIssues) return refuse(c, 410, 'Issues are disabled for this repo');
      const issue = repo.issues.get(Number(c.req.param('number')));
      if (!issue) return refuse(c, 404, 'Not Found');
      if (issue.gone === 'deleted') return refuse(c, 410, 'This issue was deleted');
      if (issue.gone) {
        return redirect(
          c,
          `${base()}/repositories/${issue.gone.repo.id}/issues/${issue.gone.number}`,
        );
      }
      if (repo.archived && c.req.method !== 'GET') {
        return refuse(c, 403, 'Repository was archived so is read-only.');
      }
      return then(repo, issue);
    });
  }

  const labelsOf = (repo: FakeRepo, issue: FakeIssue) =>
    issue.labels.map((name) => labelBody(base(), repo, name));

  for (const root of ['/repos/:owner/:repo', '/repositories/:id']) {
    app.get(root, (c) => withRepo(c, (repo) => answer(c, 200, repoBody(base(), repo))));
    app.get(`${root}/issues`, (c) => withRepo(c, (repo) => listIssues(c, repo, base())));
    app.get(`${root}/issues/:number`, (c) =>
      withIssue(c, (repo, issue) => answer(c, 200, issueBody(base(), repo, issue))),
    );
    app.post(`${root}/issues/:number/labels`, (c) =>
      withIssue(c, async (repo, issue) => {
        const { labels } = await c.req.json<{ labels: string[] }>();
        if (labels.some((name) => name.length > LONGEST_LABEL)) {
          return answer(c, 422, invalidBody('name', 'too_long'));
        }
        addLabels(world, repo, issue, labels);
        return answer(c, 200, labelsOf(repo, issue));
      }),
    );
    app.delete(`${root}/issues/:number/labels/:name`, (c) =>
      withIssue(c, (repo, issue) => {
        if (!removeLabel(world, issue, c.req.param('name') ?? '')) {
          return refuse(c, 404, 'Label does not exist');
        }
        return answer(c, 200, labelsOf(repo, issue));
      }),
    );
  }
  return app;
}

function listIssues(c: Context, repo: FakeRepo, base: string): Response {
  const asked = (name: string, otherwise: string) => c.req.query(name) ?? otherwise;
  const size = Number(asked('per_page', '30'));
  const page = Number(asked('page', '1'));
  const state = asked('state', 'open');
  const since = Date.parse(asked('since', '1970-01-01T00:00:00Z'));
  const sign = asked('direction', 'desc') === 'asc' ? 1 : -1;
  const sort = asked('sort', 'created') === 'updated' ? 'updatedAt' : 'createdAt';
  const time = (issue: FakeIssue) => issue[sort].getTime();
  const matching = [...repo.issues.values()]
    // Where issues are disabled, GitHub still lists the pull requests.
    .filter((issue) => !issue.gone && (repo.hasIssues || issue.isPullRequest))
    .filter((issue) => state === 'all' || issue.state === state)
    .filter((issue) => issue.updatedAt.getTime() >= since)
    .sort((a, b) => sign * (time(a) - time(b) || a.number - b.number));
  const last = Math.max(1, Math.ceil(matching.length / size));
  const link = (rel: string, to: number) => {
    const url = new URL(`${base}/repositories/${repo.id}/issues${new URL(c.req.url).search}`);
    url.searchParams.set('page', String(to));
    return `<${url}>; rel="${rel}"`;
  };
  const links = [
    ...(page > 1 ? [link('prev', page - 1), link('first', 1)] : []),
    ...(page < last ? [link('next', page + 1), link('last', last)] : []),
  ];
  if (links.length > 0) c.header('link', links.join(', '));
  const shown = matching.slice((page - 1) * size, page * size);
  return c.json(shown.map((issue) => issueBody(base, repo, issue)));
}

/** What `POST /app/installations/{id}/access_tokens` gives. */
export function installationToken(now: Date) {
  return {
    token: `ghs_${randomBytes(18).toString('hex')}`,
    expires_at: new Date(now.getTime() + 3_600_000).toISOString().replace(/\.\d+Z$/, 'Z'),
    permissions: { issues: 'write', metadata: 'read' },
    repository_selection: 'all',
  };
}
