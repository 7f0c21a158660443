import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { patchBetween } from '../../../src/services/git/diff.ts';
import { checkpointRef } from '../../../src/services/git/names.ts';
import { requireModestTrees } from '../../../src/services/git/tree-size.ts';
import { verifyBundle } from '../../../src/services/git/verify-bundle.ts';
import { deltaBundle, treeBomb, treeBundle } from './bombs.ts';
import { AGENT, captureIn, put, seeded, SESSION } from './helpers.ts';
import type { Sandbox } from './helpers.ts';

const REF = checkpointRef(AGENT, SESSION);
const MIB = 1024 * 1024;

const verify = (box: Sandbox, commit: string) =>
  verifyBundle({
    file: join(box.root, 'sent.bundle'),
    ref: REF,
    commit,
    maxBytes: 10 * MIB,
    maxUnpackedBytes: 200 * MIB,
    scratch: box.root,
  });

test('a bundle that would need more memory than a git process may have is refused', async () => {
  const box = seeded();
  const commit = 'a'.repeat(40);
  const bundle = deltaBundle(REF, commit, 40_000);
  expect(bundle.length).toBeLessThan(MIB);
  writeFileSync(join(box.root, 'sent.bundle'), bundle);
  await expect(verify(box, commit)).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringContaining('memory'),
  });
});

test('a bundle whose tree stands for more paths than a disk holds is refused', async () => {
  const box = seeded();
  const { commit } = await treeBundle(box, { agentName: AGENT, sessionId: SESSION });
  await expect(verify(box, commit)).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringContaining('paths'),
  });
});

test('counts every path of a tree once for each place where it stands', async () => {
  const box = seeded();
  await captureIn(box);
  const tree = treeBomb(box, 2, 3); // 2 + 4 + 8 paths
  const options = { gitDir: box.privateDir };
  await requireModestTrees([tree], options, { paths: 14, bytes: 1000 });
  const few = requireModestTrees([tree], options, { paths: 13, bytes: 1000 });
  await expect(few).rejects.toMatchObject({ code: 'invalid' });
  const short = requireModestTrees([tree], options, { paths: 14, bytes: 40 });
  await expect(short).rejects.toMatchObject({ code: 'invalid' });
});

test('a text of many megabytes is compared as binary', async () => {
  const box = seeded();
  put(box.repo, 'large.txt', 'line\n'.repeat(MIB));
  const { commit, head } = await captureIn(box);
  const options = { privateDir: box.privateDir, commit, from: head ?? '', maxBytes: MIB };
  const { patch, complete } = await patchBetween(options);
  expect(complete).toBe(true);
  expect(patch.toString('utf8')).toContain('Binary files /dev/null and b/large.txt differ');
});
