import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ForgeError } from '../../../../src/services/forge/error.ts';
import type { Forge, ForgeIssue } from '../../../../src/services/forge/forge.ts';
import { type FakeGitHub, startFakeGitHub } from '../../../setup/github/fake.ts';
import type { FaultKind } from '../../../setup/github/faults.ts';
import { testForge } from '../../../setup/github/forge.ts';

let fake: FakeGitHub;
const signal = new AbortController().signal;
const repo = { owner: 'acme', name: 'app' };

beforeAll(async () => {
  fake = await startFakeGitHub();
  fake.repo('acme/app', { issues: 120 });
});
afterEach(() => {
  fake.clearFaults();
  fake.requests.splice(0);
});
afterAll(() => fake.close());

async function list(forge: Forge): Promise<ForgeIssue[]> {
  const issues: ForgeIssue[] = [];
  for await (const page of forge.listIssues(repo, { signal })) issues.push(...page.issues);
  return issues;
}

async function failure(work: Promise<unknown>): Promise<ForgeError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ForgeError)) throw new Error('no ForgeError', { cause: error });
  return error;
}

const refused: [what: string, fault: FaultKind, kind: string, text: RegExp][] = [
  [
    '401',
    { kind: 'status', status: 401, message: 'Bad credentials' },
    'bad_credentials',
    /Set GITHUB_TOKEN to a valid token and start again/,
  ],
  [
    '403 without permission',
    { kind: 'status', status: 403, message: 'Resource not accessible by personal access token' },
    'missing_permission',
    /Grant it "Issues: read" \(a classic token: the scope "repo"\)/,
  ],
  [
    '403 for single sign-on',
    {
      kind: 'status',
      status: 403,
      message: 'Resource protected by organization SAML enforcement.',
      headers: { 'x-github-sso': 'required; url=https://github.com/orgs/x/sso' },
    },
    'sso_required',
    /Configure SSO/,
  ],
  [
    '403 for the address',
    {
      kind: 'status',
      status: 403,
      message:
        'Although you appear to have the correct authorization credentials, the `acme` organization has an IP allow list enabled',
    },
    'missing_permission',
    /address of this server/,
  ],
  [
    '404',
    { kind: 'status', status: 404, message: 'Not Found' },
    'not_found',
    /access to it; if it was removed, untrack it/,
  ],
  [
    '404 of another server',
    { kind: 'web_page', status: 404 },
    'misconfigured',
    /Check GITHUB_API_URL/,
  ],
  ['410', { kind: 'status', status: 410, message: 'Gone' }, 'gone', /gone for good \(410\)/],
  [
    '410 without issues',
    { kind: 'status', status: 410, message: 'Issues are disabled for this repo' },
    'issues_disabled',
    /Enable them in its settings/,
  ],
  [
    '422',
    { kind: 'status', status: 422, message: 'Validation Failed' },
    'rejected',
    /invalid \(422\)/,
  ],
  [
    '409',
    { kind: 'status', status: 409, message: 'Git Repository is empty.' },
    'unavailable',
    /conflict \(409\).*tried again later/,
  ],
  [
    '418',
    { kind: 'status', status: 418, message: 'no' },
    'rejected',
    /refused the request \(418\)/,
  ],
  ['304', { kind: 'status', status: 304 }, 'unavailable', /"not modified" \(304\).*proxy/],
  [
    '301 without an address',
    { kind: 'status', status: 301, message: 'Moved Permanently' },
    'misconfigured',
    /redirects \(301\) without saying where/,
  ],
  [
    '451',
    { kind: 'status', status: 451, message: 'Repository access blocked' },
    'gone',
    /legal reasons/,
  ],
  [
    'a web page',
    { kind: 'web_page' },
    'misconfigured',
    /Set GITHUB_API_URL to the root of the REST API/,
  ],
];

describe('a refusal is not repeated and says what to do', () => {
  test.each(refused)('%s', async (_what, fault, kind, text) => {
    fake.fault(fault);
    const error = await failure(list(testForge(fake.url)));
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(text);
    // Whether a moved repository has another name is asked once.
    expect(fake.requests).toHaveLength(fault.kind === 'status' && fault.status === 301 ? 2 : 1);
  });

  test('of a reading speaks of no labels, and of a label says which', async () => {
    fake.fault({ kind: 'status', status: 422, message: 'Validation Failed' });
    const reading = await failure(list(testForge(fake.url)));
    expect(reading.message).not.toContain('label');
    const writing = await failure(testForge(fake.url).addLabels(repo, 1, ['x'], { signal }));
    expect(writing.message).toMatch(/rejected the labels \(422\).*DEFIB_LABEL_/);
    fake.clearFaults();
    const long = 'x'.repeat(51);
    const tooLong = await failure(testForge(fake.url).addLabels(repo, 1, [long], { signal }));
    expect(tooLong.message).toMatch(/at most 50 characters/);
  });

  test('a redirect in circles is given up', async () => {
    const location = `${fake.url}/repos/acme/app`;
    fake.fault({ kind: 'status', status: 301, headers: { location } });
    const error = await failure(testForge(fake.url).getRepo(repo, { signal }));
    expect(error).toMatchObject({ kind: 'misconfigured' });
    expect(error.message).toMatch(/redirects \(301\) in circles/);
    expect(fake.requests).toHaveLength(4);
  });

  test('each has a text of its own', async () => {
    const texts = new Set<string>();
    for (const [, fault] of refused) {
      const live = fake.fault(fault);
      texts.add((await failure(list(testForge(fake.url)))).message);
      live.clear();
    }
    expect(texts.size).toBe(refused.length);
  });

  test('the archived repository takes no labels', async () => {
    const archived = fake.repo('acme/archived', { issues: 1 });
    archived.archive();
    const at = { owner: 'acme', name: 'archived' };
    const error = await failure(testForge(fake.url).addLabels(at, 1, ['x'], { signal }));
    expect(error).toMatchObject({ kind: 'read_only' });
    expect(error.message).toMatch(/archived/);
  });

  test('writing asks for another permission than reading', async () => {
    fake.fault({ kind: 'status', status: 403, message: 'Resource not accessible by integration' });
    const error = await failure(testForge(fake.url).addLabels(repo, 1, ['x'], { signal }));
    expect(error.message).toContain('"Issues: read and write"');
  });

  test('without credentials the text names the variables', async () => {
    const forge = testForge(fake.url, { auth: { kind: 'none' } });
    expect(forge.canWrite).toBe(false);
    fake.fault({ kind: 'status', status: 404, message: 'Not Found' });
    expect((await failure(list(forge))).message).toContain('If it is private, set GITHUB_TOKEN');
  });
});

describe('a passing failure is repeated twice', () => {
  const passing: [string, FaultKind, string, RegExp][] = [
    ['500', { kind: 'status', status: 500 }, 'unavailable', /failure of its own \(500\)/],
    ['502', { kind: 'status', status: 502 }, 'unavailable', /failure of its own \(502\)/],
    ['503', { kind: 'status', status: 503 }, 'unavailable', /failure of its own \(503\)/],
    ['a cut connection', { kind: 'cut' }, 'unavailable', /cut the connection/],
    ['an answer cut in the middle', { kind: 'cut_body' }, 'unavailable', /cut the connection/],
    ['a truncated page', { kind: 'truncated' }, 'unavailable', /cut the connection/],
  ];

  test.each(passing)('%s, in vain', async (_what, fault, kind, text) => {
    fake.fault(fault);
    const error = await failure(list(testForge(fake.url)));
    expect(error.kind).toBe(kind);
    expect(error.message).toMatch(text);
    expect(fake.requests).toHaveLength(3);
  });

  test.each(passing)('%s, once, on the second page', async (_what, fault) => {
    fake.fault({ ...fault, path: /page=2/, times: 1 });
    expect(await list(testForge(fake.url))).toHaveLength(120);
  });

  test('a server too slow is given up', async () => {
    fake.fault({ kind: 'hold' });
    const error = await failure(list(testForge(fake.url, { requestTimeoutMs: 50 })));
    expect(error.kind).toBe('timeout');
    expect(error.message).toMatch(/did not answer in time/);
    // Each repetition would keep others waiting as long again.
    expect(fake.requests).toHaveLength(1);
  });

  test('a server that cannot be reached', async () => {
    const gone = await startFakeGitHub();
    await gone.close();
    const error = await failure(list(testForge(gone.url)));
    expect(error.kind).toBe('unavailable');
    expect(error.message).toMatch(/could not be reached/);
  });
});

describe('an answer that the pagination would take for the end', () => {
  test('409 is a failure, not an empty page', async () => {
    fake.fault({ kind: 'status', status: 409, path: /page=2/ });
    expect((await failure(list(testForge(fake.url)))).kind).toBe('unavailable');
  });

  test('a page that is no list is a failure, not an empty page', async () => {
    fake.fault({ kind: 'status', status: 299, path: /page=2/ });
    expect((await failure(list(testForge(fake.url)))).message).toMatch(
      /not what the GitHub API promises/,
    );
  });
});

describe('pages that lead nowhere', () => {
  const next = (query: string) => ({
    link: `<${fake.url}/repos/acme/app/issues?per_page=100&${query}>; rel="next"`,
  });

  test('a next page that is the page itself ends the listing with an error', async () => {
    fake.fault({ kind: 'headers', path: /page=2/, headers: next('page=2') });
    const error = await failure(list(testForge(fake.url)));
    expect(error).toMatchObject({ kind: 'unavailable' });
    expect(error.message).toMatch(/pages of issues lead in circles/);
    expect(fake.requests.length).toBeLessThanOrEqual(3);
  });

  test('so do pages that only repeat what was listed, whatever they are called', async () => {
    let page = 2;
    const fault = { kind: 'headers' as const, path: /issues/, headers: next('page=1&x=1') };
    fake.fault({
      ...fault,
      get headers() {
        page += 1;
        return next(`page=1&again=${page}`);
      },
    });
    const error = await failure(list(testForge(fake.url)));
    expect(error.message).toMatch(/pages of issues lead in circles/);
    expect(fake.requests.length).toBeLessThanOrEqual(3);
  });

  test('and empty pages that name a next one', async () => {
    let page = 2;
    fake.fault({
      kind: 'body',
      body: [],
      path: /page=[2-9]/,
      get headers() {
        page += 1;
        return next(`page=${page}`);
      },
    });
    const error = await failure(list(testForge(fake.url)));
    expect(error.message).toMatch(/pages of issues lead in circles/);
    expect(fake.requests).toHaveLength(2);
  });
});

describe('credentials that were refused', () => {
  test('are not used again for a while, then by one request', async () => {
    let now = 0;
    const forge = testForge(fake.url, { monotonicNow: () => now });
    const fault = fake.fault({ kind: 'status', status: 401, message: 'Bad credentials' });
    const first = await failure(list(forge));
    expect(first).toMatchObject({ kind: 'bad_credentials' });
    const many = () =>
      Promise.all(Array.from({ length: 20 }, () => failure(forge.getRepo(repo, { signal }))));
    for (const error of await many()) {
      expect(error).toMatchObject({ kind: 'bad_credentials', message: first.message });
      expect(error.retryAfterSeconds).toBeGreaterThan(0);
    }
    expect(fake.requests).toHaveLength(1);

    now += 60_000;
    await many();
    expect(fake.requests).toHaveLength(2);

    // Refused again, so the wait is longer.
    now += 60_000;
    await many();
    expect(fake.requests).toHaveLength(2);
    now += 60_000;
    fault.clear();
    expect(await list(forge)).toHaveLength(120);
    expect(await list(forge)).toHaveLength(120);
  });

  test('are asked anew when the one that asks first is given up', async () => {
    let now = 0;
    const forge = testForge(fake.url, { monotonicNow: () => now });
    const fault = fake.fault({ kind: 'status', status: 401 });
    await failure(list(forge));
    fault.clear();
    now += 60_000;
    const held = fake.fault({ kind: 'hold' });
    const controller = new AbortController();
    const given = forge.getRepo(repo, { signal: controller.signal });
    await held.reached;
    controller.abort(new Error('the step is over'));
    await expect(given).rejects.toThrow('the step is over');
    held.clear();
    expect(await list(forge)).toHaveLength(120);
  });
});

describe('rate limits', () => {
  test('the primary limit says when it opens, by the clock of GitHub', async () => {
    fake.clock.advance(86_400_000);
    fake.fault({ kind: 'primary_limit', resetSeconds: 1200 });
    const error = await failure(list(testForge(fake.url)));
    const opens = new Date(fake.clock.now().getTime() + 1_201_000).toISOString().slice(11, 16);
    expect(error).toMatchObject({ kind: 'rate_limited' });
    expect(error.retryAfterSeconds).toBeGreaterThanOrEqual(1200);
    expect(error.retryAfterSeconds).toBeLessThanOrEqual(1202);
    expect(error.message).toContain(`used up until ${opens}`);
  });

  test('the secondary limit keeps to Retry-After', async () => {
    fake.fault({ kind: 'secondary_limit', retryAfterSeconds: 37 });
    const error = await failure(list(testForge(fake.url)));
    expect(error).toMatchObject({ kind: 'rate_limited', retryAfterSeconds: 37 });
    expect(error.message).toMatch(/secondary rate limit/);
  });

  test('the secondary limit without Retry-After waits a minute', async () => {
    fake.fault({ kind: 'secondary_limit' });
    expect((await failure(list(testForge(fake.url)))).retryAfterSeconds).toBe(60);
  });

  test('429 is not repeated at once', async () => {
    fake.fault({ kind: 'status', status: 429, headers: { 'retry-after': '5' } });
    const error = await failure(list(testForge(fake.url)));
    expect(error).toMatchObject({ kind: 'rate_limited', retryAfterSeconds: 5 });
    expect(fake.requests).toHaveLength(1);
  });

  test('neither limit makes anyone wait', async () => {
    const started = performance.now();
    fake.fault({ kind: 'primary_limit', resetSeconds: 600, times: 1 });
    await failure(list(testForge(fake.url)));
    fake.fault({ kind: 'secondary_limit', retryAfterSeconds: 60, times: 1 });
    await failure(list(testForge(fake.url)));
    expect(performance.now() - started).toBeLessThan(5000);
    expect(fake.requests).toHaveLength(2);
  });

  test('nobody asks again with these credentials until the limit opens', async () => {
    let now = 0;
    const forge = testForge(fake.url, { monotonicNow: () => now });
    const fault = fake.fault({ kind: 'secondary_limit', retryAfterSeconds: 30 });
    const first = await failure(list(forge));
    fault.clear();
    now += 10_000;
    const second = await failure(forge.getRepo(repo, { signal }));
    expect(second).toMatchObject({
      kind: 'rate_limited',
      retryAfterSeconds: 20,
      message: first.message,
    });
    expect(fake.requests).toHaveLength(1);
    now += 20_000;
    expect(await list(forge)).toHaveLength(120);
  });

  test('without credentials the text says how to get a higher limit', async () => {
    fake.fault({ kind: 'primary_limit', resetSeconds: 60 });
    const forge = testForge(fake.url, { auth: { kind: 'none' } });
    expect((await failure(list(forge))).message).toMatch(/without credentials .* Set GITHUB_TOKEN/);
  });
});
