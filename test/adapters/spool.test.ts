import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AgentEvent } from '../../src/adapters/event.ts';
import { eventsFolder, MAX_SPOOLED, putEvent, takeEvents } from '../../src/adapters/spool.ts';

let session: string;

beforeEach(async () => {
  session = await mkdtemp(join(tmpdir(), 'defib-spool-'));
});
afterEach(() => rm(session, { recursive: true, force: true }));

const event = (at: string, tool = 'bash'): AgentEvent => ({
  agent: 'pi',
  kind: 'tool-end',
  at,
  sessionRef: 's',
  cwd: '/w',
  tool,
  mutating: true,
});

test('events come out once, in the order of time, whoever wrote first', () => {
  const [first, second, third] = ['00.001Z', '00.002Z', '10.000Z'].map((second) =>
    event(`2026-01-02T03:04:${second}`),
  );
  for (const one of [third, first, second]) putEvent(session, one!);
  expect(takeEvents(session)).toEqual([first, second, third]);
  expect(takeEvents(session)).toEqual([]);
});

test('what is no event, or not whole yet, is left out', async () => {
  expect(takeEvents(session)).toEqual([]);
  putEvent(session, event('2026-01-02T03:04:05.000Z'));
  const folder = eventsFolder(session);
  await writeFile(join(folder, '000-garbage.json'), '{"agent":');
  await writeFile(join(folder, '001-other.json'), '{"agent":"nobody","kind":"stop"}');
  await writeFile(join(folder, '002-large.json'), `"${'x'.repeat(70_000)}"`);
  await mkdir(join(folder, '003-folder.json'));
  await writeFile(join(folder, '.draft'), '{}');
  expect(takeEvents(session)).toHaveLength(1);
  expect(await readdir(folder)).toEqual(['.draft', '003-folder.json']);
});

test('without a reader it stops growing', async () => {
  for (let n = 0; n < MAX_SPOOLED; n += 1) {
    expect(putEvent(session, event(new Date(n).toISOString()))).toBe(true);
  }
  expect(putEvent(session, event(new Date().toISOString()))).toBe(false);
  expect(await readdir(eventsFolder(session))).toHaveLength(MAX_SPOOLED);
  expect(takeEvents(session)).toHaveLength(MAX_SPOOLED);
  expect(putEvent(session, event(new Date().toISOString()))).toBe(true);
});

test('it is for its user alone', async () => {
  putEvent(session, event('2026-01-02T03:04:05.000Z'));
  const folder = eventsFolder(session);
  const [name = ''] = await readdir(folder);
  const modes = [folder, join(folder, name)].map(async (path) => (await stat(path)).mode & 0o777);
  expect(await Promise.all(modes)).toEqual([0o700, 0o600]);
});

test('the folder of a session that is gone is not made again', async () => {
  await rm(session, { recursive: true });
  expect(() => putEvent(session, event('2026-01-02T03:04:05.000Z'))).toThrow('ENOENT');
});
