import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { ForgeError } from '../error.ts';
import type { Forge, ForgeRepo, IssuePage, ListOptions, RepoName } from '../forge.ts';
import { readDate, readIssue, readIssues, readRepo } from './answers.ts';
import { type Client, type ClientOptions, createClient } from './client.ts';
import { firstPage, nextPage, pageTrail, queryOf } from './pages.ts';
import { headerOf, isHttpFailure, messageOf } from './response.ts';

const MOST_REDIRECTS = 3;

const ISSUE = '/repos/{owner}/{repo}/issues/{issue_number}';

export type GitHubOptions = Pick<ClientOptions, 'apiUrl' | 'auth' | 'log'> &
  Partial<Omit<ClientOptions, 'apiUrl' | 'auth' | 'log'>>;

/** GitHub, or GitHub Enterprise Server, through its REST API. Opens no connection by itself. */
export function createGitHubForge(options: GitHubOptions): Forge {
  const client = createClient({
    requestTimeoutMs: 10_000,
    retryBaseMs: 200,
    monotonicNow: () => performance.now(),
    ...options,
  });
  return {
    kind: 'github',
    credential: fingerprint(options),
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

const addressOf = ({ owner, name }: RepoName) =>
  `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}`;

function fingerprint({ apiUrl, auth }: Pick<GitHubOptions, 'apiUrl' | 'auth'>): string {
  const who =
    auth.kind === 'app'
      ? `${auth.appId} ${auth.installationId}`
      : 'token' in auth
        ? auth.token
        : '';
  return createHash('sha256').update(`${apiUrl} ${auth.kind} ${who}`).digest('hex').slice(0, 16);
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
  let url = addressOf(repo);
  for (let redirects = 0; ; redirects += 1) {
    try {
      const { data } = await client.request({ method: 'GET', url, request });
      return readRepo(data);
    } catch (error) {
      if (!(error instanceof ForgeError) || error.kind !== 'moved') throw error;
      const location = locationOf(error);
      if (location === undefined) throw pointless(error, 'without saying where to');
      if (redirects === MOST_REDIRECTS) throw pointless(error, 'in circles');
      url = location;
    }
  }
}

async function* listIssues(
  client: Client,
  repo: RepoName,
  { signal, since, from }: ListOptions,
): AsyncGenerator<IssuePage> {
  const request = { signal };
  const trail = pageTrail();
  let url: string | undefined = `${addressOf(repo)}/issues?${from ?? firstPage(since)}`;
  while (url !== undefined) {
    const page: string = url;
    const { data, headers } = await namingMoves(client, repo, signal, () =>
      client.request({ method: 'GET', url: page, request }),
    );
    const { issues, numbers } = readIssues(data);
    url = trail.follow(numbers, nextPage(headers.link));
    const more = url !== undefined;
    yield { issues, numbers, at: queryOf(page), more, servedAt: readDate(headers.date) };
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

function locationOf(error: ForgeError): string | undefined {
  return isHttpFailure(error.cause) ? headerOf(error.cause, 'location') : undefined;
}

function pointless(cause: ForgeError, how: string): ForgeError {
  const status = isHttpFailure(cause.cause) ? cause.cause.status : 301;
  const text = `GitHub redirects (${status}) ${how}. Check GITHUB_API_URL, any proxy on the way, and the repository's name.`;
  return new ForgeError('misconfigured', text, { cause });
}

/** GitHub answers 404 for a missing label as for a missing issue; only the text differs. */
function isMissingLabel(error: unknown): boolean {
  if (!(error instanceof ForgeError) || error.kind !== 'not_found') return false;
  return isHttpFailure(error.cause) && /label does not exist/i.test(messageOf(error.cause));
}
