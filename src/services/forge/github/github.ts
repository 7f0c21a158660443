import { performance } from 'node:perf_hooks';
import { ForgeError } from '../error.ts';
import type { CallOptions, Forge, ForgeRepo, IssuePage, RepoName } from '../forge.ts';
import { readDate, readIssue, readIssues, readRepo } from './answers.ts';
import { type Client, type ClientOptions, createClient } from './client.ts';
import { headerOf, isHttpFailure, messageOf } from './response.ts';

const PAGE = 100;
const MOST_REDIRECTS = 3;

// The plugin's own type takes a request method with a route only, though it reads options as well.
type Iterate = (
  request: Client['request'],
  parameters: Record<string, unknown>,
) => AsyncIterable<{ headers: { date?: string }; data: unknown }>;

const ISSUE = '/repos/{owner}/{repo}/issues/{issue_number}';

export type GitHubOptions = Pick<ClientOptions, 'apiUrl' | 'auth' | 'log'> &
  Partial<Omit<ClientOptions, 'apiUrl' | 'auth' | 'log'>>;

/** GitHub, or GitHub Enterprise Server, through its REST API. Opens no connection by itself. */
export function createGitHubForge(options: GitHubOptions): Forge {
  const client = createClient({
    requestTimeoutMs: 10_000,
    retryBaseMs: 200,
    throttle: true,
    monotonicNow: () => performance.now(),
    ...options,
  });
  return {
    kind: 'github',
    canWrite: options.auth.kind !== 'none',
    credentialsHint:
      'Set GITHUB_TOKEN to a token that may write issues, or the three GITHUB_APP_… variables.',
    getRepo: (repo, { signal }) => getRepo(client, repo, signal),
    listIssues: (repo, call) => listIssues(client, repo, call),
    getIssue: (repo, number, { signal }) =>
      namingMoves(client, repo, signal, async () => {
        const { data } = await client.request(`GET ${ISSUE}`, issueAt(repo, number, signal));
        return readIssue(data);
      }),
    addLabels: (repo, number, labels, { signal }) =>
      namingMoves(client, repo, signal, async () => {
        const at = issueAt(repo, number, signal);
        await client.request(`POST ${ISSUE}/labels`, { ...at, labels });
      }),
    removeLabel: (repo, number, label, { signal }) =>
      namingMoves(client, repo, signal, async () => {
        const at = issueAt(repo, number, signal);
        try {
          await client.request(`DELETE ${ISSUE}/labels/{name}`, { ...at, name: label });
        } catch (error) {
          if (!isMissingLabel(error)) throw error;
        }
      }),
  };
}

const issueAt = (repo: RepoName, number: number, signal: AbortSignal) => ({
  owner: repo.owner,
  repo: repo.name,
  issue_number: number,
  request: { signal },
});

/** Follows the redirects of a renamed repository; the client refuses those to another origin. */
async function getRepo(client: Client, repo: RepoName, signal: AbortSignal): Promise<ForgeRepo> {
  const request = { signal };
  let url = `/repos/${encodeURIComponent(repo.owner)}/${encodeURIComponent(repo.name)}`;
  for (let redirects = 0; ; redirects += 1) {
    try {
      const { data } = await client.request({ method: 'GET', url, request });
      return readRepo(data);
    } catch (error) {
      const location = locationOf(error);
      if (location === undefined || redirects === MOST_REDIRECTS) throw error;
      url = location;
    }
  }
}

async function* listIssues(
  client: Client,
  repo: RepoName,
  { signal, since }: CallOptions & { since?: Date },
): AsyncGenerator<IssuePage> {
  // The plugin forgets `request` options between pages, the signal among them: so as defaults.
  const request = client.request.defaults({ request: { signal } });
  const iterate = client.paginate.iterator as unknown as Iterate;
  const pages = iterate(request, {
    method: 'GET',
    url: '/repos/{owner}/{repo}/issues',
    owner: repo.owner,
    repo: repo.name,
    state: 'all',
    sort: 'created',
    direction: 'asc',
    per_page: PAGE,
    ...(since && { since: since.toISOString() }),
  });
  const iterator = pages[Symbol.asyncIterator]();
  for (;;) {
    const page = await namingMoves(client, repo, signal, () => iterator.next());
    if (page.done) return;
    yield { issues: readIssues(page.value.data), servedAt: readDate(page.value.headers.date) };
  }
}

/** Runs a call; where GitHub says that something moved, finds out what and where to. */
async function namingMoves<T>(
  client: Client,
  repo: RepoName,
  signal: AbortSignal,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof ForgeError && error.kind === 'moved')) throw error;
    const { owner, name } = await getRepo(client, repo, signal);
    const cause = { cause: error };
    if (sameName({ owner, name }, repo)) {
      throw new ForgeError('moved', 'The issue was transferred to another repository.', cause);
    }
    const text = `The repository is called ${owner}/${name} now; the next sync takes up that name.`;
    throw new ForgeError('moved', text, { ...cause, movedTo: { owner, name } });
  }
}

const sameName = (a: RepoName, b: RepoName) =>
  a.owner.toLowerCase() === b.owner.toLowerCase() && a.name.toLowerCase() === b.name.toLowerCase();

function locationOf(error: unknown): string | undefined {
  if (!(error instanceof ForgeError) || error.kind !== 'moved') return undefined;
  return isHttpFailure(error.cause) ? headerOf(error.cause, 'location') : undefined;
}

/** GitHub answers 404 for a missing label as for a missing issue; only the text differs. */
function isMissingLabel(error: unknown): boolean {
  if (!(error instanceof ForgeError) || error.kind !== 'not_found') return false;
  return isHttpFailure(error.cause) && /label does not exist/i.test(messageOf(error.cause));
}
