import { generateKeyPairSync } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { type FakeGitHub, type FakeOptions, startFakeGitHub } from '../../../setup/github/fake.ts';
import { testForge } from '../../../setup/github/forge.ts';

const open: FakeGitHub[] = [];
const signal = new AbortController().signal;
const repo = { owner: 'acme', name: 'app' };

async function start(options: FakeOptions = {}): Promise<FakeGitHub> {
  const fake = await startFakeGitHub(options);
  open.push(fake);
  fake.repo('acme/app', { issues: 1 });
  return fake;
}

afterEach(async () => {
  for (const fake of open.splice(0)) {
    expect(fake.violations.splice(0)).toEqual([]);
    await fake.close();
  }
});

const { publicKey, privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  // The form in which GitHub hands out the keys of Apps.
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
});
const app = { id: '77', installationId: '4242', publicKey };

test('a token opens what it may open', async () => {
  const fake = await start({ token: 'good' });
  const forge = testForge(fake.url, { auth: { kind: 'token', token: 'good' } });
  expect((await forge.getIssue(repo, 1, { signal })).number).toBe(1);
  const wrong = testForge(fake.url, { auth: { kind: 'token', token: 'bad' } });
  await expect(wrong.getIssue(repo, 1, { signal })).rejects.toMatchObject({
    kind: 'bad_credentials',
  });
});

test('without credentials none are sent', async () => {
  const fake = await start();
  const forge = testForge(fake.url, { auth: { kind: 'none' } });
  await forge.getRepo(repo, { signal });
  expect(fake.requests[0]?.authorization).toBe('');
});

test('a GitHub App signs in once and asks with the token of its installation', async () => {
  const fake = await start({ app });
  const auth = { kind: 'app' as const, appId: '77', installationId: '4242', privateKey };
  const forge = testForge(fake.url, { auth });
  await forge.getRepo(repo, { signal });
  await forge.getIssue(repo, 1, { signal });
  expect(fake.requests.map((request) => request.path)).toEqual([
    '/app/installations/4242/access_tokens',
    '/repos/acme/app',
    '/repos/acme/app/issues/1',
  ]);
});

test('the mistakes of an App each have their own text', async () => {
  const fake = await start({ app });
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  });
  const texts: string[] = [];
  for (const wrong of [
    { installationId: '1' },
    { privateKey: String(other), installationId: '4243' },
    { privateKey: '-----BEGIN RSA PRIVATE KEY-----', installationId: '4244' },
  ]) {
    const auth = { kind: 'app' as const, appId: '77', privateKey, ...wrong };
    const failed = testForge(fake.url, { auth }).getRepo(repo, { signal });
    const error: unknown = await failed.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ kind: 'bad_credentials' });
    texts.push((error as Error).message);
  }
  expect(texts).toEqual([
    expect.stringContaining('GITHUB_APP_INSTALLATION_ID'),
    expect.stringContaining('refused the key of the GitHub App'),
    expect.stringContaining('GITHUB_APP_PRIVATE_KEY to the whole PEM'),
  ]);
});

test('the token goes nowhere else: neither by a redirect nor by a page link', async () => {
  const elsewhere = await start();
  const fake = await start({ token: 'secret' });
  const forge = testForge(fake.url, { auth: { kind: 'token', token: 'secret' } });
  const location = `${elsewhere.url}/repos/acme/app`;
  fake.fault({ kind: 'status', status: 301, headers: { location }, times: 1 });
  await expect(forge.getRepo(repo, { signal })).rejects.toMatchObject({
    kind: 'misconfigured',
    message: expect.stringContaining(elsewhere.url),
  });

  const link = `<${elsewhere.url}/repositories/1/issues?page=2>; rel="next"`;
  fake.fault({ kind: 'headers', headers: { link } });
  const pages = forge.listIssues(repo, { signal })[Symbol.asyncIterator]();
  expect((await pages.next()).done).toBe(false);
  await expect(pages.next()).rejects.toMatchObject({ kind: 'misconfigured' });
  expect(elsewhere.requests).toEqual([]);
});

test('the secret is in no text of an error, however it is printed', async () => {
  const fake = await start({ token: 'other' });
  const forge = testForge(fake.url, { auth: { kind: 'token', token: 'ghp_verysecret' } });
  const error: unknown = await forge.getRepo(repo, { signal }).catch((reason: unknown) => reason);
  const { inspect } = await import('node:util');
  expect(inspect(error, { depth: 20 })).not.toContain('verysecret');
});
