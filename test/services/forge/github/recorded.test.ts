import { serve } from '@hono/node-server';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkAnswer, checkRequest } from '../../../setup/github/description.ts';
import { recorded, template } from '../../../setup/github/recorded.ts';
import { testForge } from '../../../setup/github/forge.ts';

const signal = new AbortController().signal;
const answers = [...recorded('paginate-issues'), ...recorded('rename-repository').slice(1, 3)];
let url = '';

const at = (path: string) => new URL(path, 'http://127.0.0.1');

const page = (address: URL) => address.searchParams.get('page') ?? '1';
const here = (text: string) => text.replaceAll('https://api.github.com', url);

/** Plays back what GitHub once answered, by path and page. */
function replay(request: Request): Response {
  const asked = new URL(request.url);
  const found = answers.find((answer) => {
    const path = new URL(answer.path, url);
    return path.pathname === asked.pathname && page(path) === page(asked);
  });
  if (!found) return Response.json({ message: 'not recorded' }, { status: 404 });
  const headers = Object.entries(found.headers).map(([name, value]): [string, string] => [
    name,
    here(String(value)),
  ]);
  return new Response(here(JSON.stringify(found.response)), { status: found.status, headers });
}

const server = serve({ fetch: replay, hostname: '127.0.0.1', port: 0 });
beforeAll(async () => {
  if (!server.listening) await new Promise<void>((ready) => server.once('listening', ready));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise<void>((closed) => server.close(() => closed())));

test('the recorded pages of issues are read to the end', async () => {
  const numbers: number[] = [];
  const repo = { owner: 'octokit-fixture-org', name: 'paginate-issues' };
  for await (const page of testForge(url).listIssues(repo, { signal })) {
    expect(page.servedAt).toEqual(new Date('2017-10-10T16:00:00Z'));
    numbers.push(...page.issues.map((issue) => issue.number));
  }
  expect(numbers).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
});

test('the recorded rename is followed', async () => {
  const repo = { owner: 'octokit-fixture-org', name: 'rename-repository' };
  expect(await testForge(url).getRepo(repo, { signal })).toMatchObject({
    owner: 'octokit-fixture-org',
    name: 'rename-repository-newname',
  });
});

test('recorded answers agree with the description, but for what is younger than them', () => {
  for (const { method, path, status, response } of answers) {
    const { pathname } = new URL(path, url);
    const wrong = checkAnswer(method, pathname, status, response);
    expect(wrong.filter((problem) => !problem.includes('has_discussions'))).toEqual([]);
  }
});

test('the description notices what breaks it', () => {
  const issue = template('paginate-issues', 0);
  expect(checkRequest('GET', at('/repos/a/b/issues?per_page=100&state=all'), undefined)).toEqual(
    [],
  );
  expect(checkRequest('GET', at('/repos/a/b/issues?per_page=x'), undefined)).not.toEqual([]);
  expect(checkRequest('GET', at('/repos/a/b/issues?state=new'), undefined)).not.toEqual([]);
  expect(checkRequest('GET', at('/repos/a/b/issues?size=1'), undefined)).not.toEqual([]);
  expect(checkRequest('GET', at('/repos/a/b/issues?since=yesterday'), undefined)).not.toEqual([]);
  expect(checkRequest('GET', at('/repos/a/b/bugs'), undefined)).not.toEqual([]);
  expect(checkRequest('POST', at('/repos/a/b/issues/1/labels'), { labels: [] })).not.toEqual([]);
  expect(checkAnswer('GET', '/repos/a/b/issues', 200, [issue])).toEqual([]);
  expect(checkAnswer('GET', '/repos/a/b/issues', 200, [{ ...issue, number: 'x' }])).not.toEqual([]);
  expect(checkAnswer('GET', '/repos/a/b/issues', 202, [])).not.toEqual([]);
});
