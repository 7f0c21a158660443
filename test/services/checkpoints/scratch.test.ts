import { existsSync, mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { withFolder } from '../../../src/services/checkpoints/scratch.ts';

it('a folder is gone after its use, and so are old ones that a killed process left', async () => {
  const root = mkdtempSync(join(tmpdir(), 'defib-scratch-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const parent = join(root, 'scratch');
  const [old, young] = [join(parent, 'work-old'), join(parent, 'work-young')];
  await mkdir(join(old, 'deep'), { recursive: true });
  await mkdir(young);
  const before = new Date(Date.now() - 2 * 3600_000);
  utimesSync(old, before, before);
  const used = await withFolder(parent, async (folder) => {
    expect(existsSync(folder)).toBe(true);
    return folder;
  });
  expect([used, old, young].map((path) => existsSync(path))).toEqual([false, false, true]);
  const failing = withFolder(parent, async (folder) => {
    throw new Error(folder);
  });
  const { message } = (await failing.catch((error: unknown) => error)) as Error;
  expect(message).toContain('work-');
  expect(existsSync(message)).toBe(false);
});
