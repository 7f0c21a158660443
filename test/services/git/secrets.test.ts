import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scanForSecrets } from '../../../src/services/git/secrets.ts';
import { newTokenSecret } from '../../../src/services/tokens/secret.ts';
import { captureIn, commitAll, gitLine, put, seeded, userGit } from './helpers.ts';

// Put together at run time, so that no scanner takes this file for a leak.
const GITHUB = ['ghp', 'wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx'].join('_');
const AWS = `aws_secret_access_key = ${['wJalrXUtnFEMI/K7MDENG', 'bPxRfiCYzzzzzzzKEY'].join('/')}`;
const KEY = [
  '-----BEGIN RSA PRIVATE ',
  'KEY-----\n',
  'MIIE'.repeat(200),
  '\n-----END RSA PRIVATE ',
  'KEY-----\n',
];

const findIn = (box: { privateDir: string }, commit: string, haves: string[] = []) =>
  scanForSecrets({ privateDir: box.privateDir, commit, haves });

test('finds planted secrets wherever a push would carry them, and tells file and rule only', async () => {
  const box = seeded();
  const base = gitLine(box.repo, 'rev-parse', 'HEAD');
  put(box.repo, 'tracked.env', `TOKEN=${GITHUB}\n`);
  commitAll(box.repo, 'not pushed yet');
  put(box.repo, 'tracked.env', 'TOKEN=\n');
  put(box.repo, 'staged.txt', `// secretlint-disable\n${GITHUB}\n`);
  userGit(box.repo, ['add', 'staged.txt']);
  put(box.repo, 'staged.txt', 'clean again\n');
  put(box.repo, 'new/untracked.pem', KEY.join(''));
  const first = await captureIn(box);
  rmSync(join(box.repo, 'new'), { recursive: true });
  put(box.repo, 'long.txt', `${'x'.repeat(80)}\n`.repeat(3300) + `${GITHUB}\n`.repeat(1));
  put(box.repo, 'own.txt', `token: ${newTokenSecret('agent')}\n`);
  const { commit } = await captureIn(box, { number: 2, previous: first.commit });
  const scan = await findIn(box, commit, [base]);
  expect(scan.complete).toBe(true);
  expect(scan.findings.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual([
    { path: 'long.txt', rule: 'github' },
    { path: 'new/untracked.pem', rule: 'privatekey' },
    { path: 'own.txt', rule: 'defib-token' },
    { path: 'staged.txt', rule: 'github' },
    { path: 'tracked.env', rule: 'github' },
  ]);
  expect(JSON.stringify(scan)).not.toContain(GITHUB.slice(4, 20));
});

test('what the receiver has already and clean text raise no alarm', async () => {
  const box = seeded();
  put(box.repo, 'known.env', `${AWS}\n`);
  const base = commitAll(box.repo, 'pushed');
  put(box.repo, 'a.txt', 'just text\n');
  const { commit } = await captureIn(box);
  expect((await findIn(box, commit)).findings).not.toEqual([]);
  expect((await findIn(box, commit, [base])).findings).toEqual([]);
});

test('a commit message counts; a cap makes the search incomplete, never silently', async () => {
  const box = seeded();
  const base = gitLine(box.repo, 'rev-parse', 'HEAD');
  commitAll(box.repo, `oops ${GITHUB}`);
  const { commit } = await captureIn(box);
  const { findings } = await findIn(box, commit, [base]);
  expect(findings).toEqual([
    { path: expect.stringMatching(/^message of commit/), rule: 'github' },
    // Git keeps the last message in a file as well, and a checkpoint carries that file.
    { path: 'operation/COMMIT_EDITMSG', rule: 'github' },
  ]);
  const capped = await scanForSecrets({
    privateDir: box.privateDir,
    commit,
    haves: [base],
    maxBytes: 10,
  });
  expect(capped).toEqual({ findings: [], complete: false });
});

test('the event loop stays free while much text is searched', async () => {
  const box = seeded();
  for (let n = 0; n < 40; n += 1)
    put(box.repo, `t${n}.txt`, `${n} some = words: here\n`.repeat(6000));
  const { commit } = await captureIn(box);
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  const start = performance.now();
  await findIn(box, commit);
  const total = performance.now() - start;
  clearInterval(timer);
  expect(longest).toBeLessThan(total / 2);
});
