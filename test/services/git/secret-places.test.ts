import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { scanForSecrets } from '../../../src/services/git/secrets.ts';
import { encodings, planted } from '../../setup/planted.ts';
import { captureIn, commitAll, gitLine, put, seeded, userGit } from './helpers.ts';

/** Whether a text can be the name of a file. */
const isName = (text: string) => !/[/\n]/.test(text) && text.length < 200;

type Place = { what: string; path: RegExp };

/** Puts a secret wherever a push would carry it. */
function plant(repo: string, kind: string): Place[] {
  const { text } = planted[kind]!;
  const places: Place[] = [];
  const add = (what: string, path: RegExp) => places.push({ what: `${kind}, ${what}`, path });
  for (const [encoding, encode] of Object.entries(encodings)) {
    for (const how of ['tracked', 'untracked']) {
      const path = `${kind}/${how} ${encoding}.dat`;
      // With a first line of its own, so that no two files are one object.
      put(repo, path, Buffer.concat([Buffer.from(`${how}\n`), encode(text)]));
      if (how === 'tracked') userGit(repo, ['add', path]);
      add(path, new RegExp(`^${path}$`));
    }
  }
  symlinkSync(text, join(repo, kind, 'link'));
  add('target of a link', new RegExp(`^${kind}/link$`));
  if (isName(text)) {
    // Both hold what was sent before.
    put(repo, `${kind}/${text}`, 'one\n');
    put(repo, `${kind}/(${text})/b.txt`, 'two\n');
    add('name of a file', new RegExp(`^"?${kind}/[^(]*\\[redacted: `));
    add('name of a folder', new RegExp(`^"?${kind}/.*\\(.*\\[redacted: `));
  }
  userGit(repo, ['commit', '--quiet', '--allow-empty', '-m', `oops ${kind}\n\n${text}`]);
  const commit = gitLine(repo, 'rev-parse', 'HEAD').slice(0, 12);
  add('commit message', new RegExp(`^message of commit ${commit}$`));
  return places;
}

it('a secret of any kind is found in any place of a checkpoint, and only its place is told', async () => {
  const box = seeded();
  put(box.repo, 'nothing.txt', 'one\n');
  const base = commitAll(box.repo);
  const places = Object.keys(planted).flatMap((kind) => plant(box.repo, kind));
  const { commit } = await captureIn(box);
  const scan = await scanForSecrets({ privateDir: box.privateDir, commit, haves: [base] });
  expect(scan.complete).toBe(true);
  const paths = scan.findings.map(({ path }) => path);
  const missed = places.filter(({ path }) => !paths.some((found) => path.test(found)));
  expect(missed.map(({ what }) => what)).toEqual([]);
  for (const { secret } of Object.values(planted)) {
    expect(JSON.stringify(scan)).not.toContain(secret);
  }
});
