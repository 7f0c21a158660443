import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TAIL_BYTES, tailObjects } from '../../src/adapters/tail.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'defib-tail-'));
  path = join(folder, 'transcript.jsonl');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const line = (n: number) => `${JSON.stringify({ n, text: 'é'.repeat(50) })}\n`;
const numbers = async (bytes?: number) => (await tailObjects(path, bytes)).map(({ n }) => n);

test('a short file is read whole, without what is no object', async () => {
  await writeFile(
    path,
    `${line(1)}garbage\n\n[1]\n"text"\nnull\n{"n":\n${line(2)}\0\0\n${line(3)}`,
  );
  expect(await numbers()).toEqual([1, 2, 3]);
});

test('of a long file, the lines that the window holds whole', async () => {
  const size = Buffer.byteLength(line(10));
  await writeFile(path, Array.from({ length: 20 }, (_, n) => line(n + 10)).join(''));
  expect(await numbers(size * 3)).toEqual([28, 29]);
  expect(await numbers(size * 3 + 1)).toEqual([27, 28, 29]);
  // The window begins inside of a character.
  expect(await numbers(size * 2 + 21)).toEqual([28, 29]);
});

test('a last line that is being written is left for later', async () => {
  await writeFile(path, line(1) + line(2).slice(0, -40));
  expect(await numbers()).toEqual([1]);
  await appendFile(path, line(2).slice(-40));
  expect(await numbers()).toEqual([1, 2]);
});

test('one line larger than the window leaves nothing, and what follows it is read', async () => {
  await writeFile(path, JSON.stringify({ n: 1, text: 'x'.repeat(10_000) }));
  expect(await numbers(1000)).toEqual([]);
  await appendFile(path, `\n${line(2)}`);
  expect(await numbers(1000)).toEqual([2]);
});

test('an empty file and a missing one have no lines', async () => {
  expect(await numbers()).toEqual([]);
  await writeFile(path, '');
  expect(await numbers()).toEqual([]);
});

test('a file of 100 MB costs no more than its tail', async () => {
  const block = `${line(1)}`.repeat(8000);
  const blocks = Math.ceil((100 * 1024 * 1024) / Buffer.byteLength(block));
  for (let n = 0; n < blocks; n += 1) await appendFile(path, block);
  await appendFile(path, line(2));

  global.gc?.();
  const before = process.memoryUsage().arrayBuffers;
  const lines = await tailObjects(path);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * TAIL_BYTES);
  expect(lines.at(-1)).toMatchObject({ n: 2 });
  expect(lines.length).toBeLessThanOrEqual(TAIL_BYTES / Buffer.byteLength(line(1)) + 1);
});
