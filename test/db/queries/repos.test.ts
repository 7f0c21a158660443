import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Db, openDb, openPool } from '../../../src/db/connect.ts';
import { upsertAgent } from '../../../src/db/queries/agents.ts';
import {
  deleteRepo,
  findRepo,
  listReposOfAgents,
  listRepos,
  setAgentRepos,
  upsertRepo,
} from '../../../src/db/queries/repos.ts';
import { newId } from '../../../src/services/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts';

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDb(openPool({ url: database.url, max: 5, applicationName: 'test', onError: () => {} }));
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const repo = (name: string) => upsertRepo(db, newId(), { owner: 'acme', name });

test('a name is one in whatever letter case', async () => {
  const first = await repo('Case');
  const second = await upsertRepo(db, newId(), { owner: 'ACME', name: 'cASE' });
  expect(second).toEqual(first);
  expect(await findRepo(db, { owner: 'aCmE', name: 'case' })).toEqual(first);
});

test('many at once make one row', async () => {
  const rows = await Promise.all(Array.from({ length: 5 }, () => repo('race')));
  expect(new Set(rows.map(({ id }) => id)).size).toBe(1);
});

test('an agent tracks what it was told last, and nothing else', async () => {
  const agentId = newId();
  await upsertAgent(db, agentId, 'builder', {});
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(repo));
  await setAgentRepos(db, agentId, [a!.id, b!.id]);
  await setAgentRepos(db, agentId, [b!.id, c!.id, c!.id]);
  const names = (await listReposOfAgents(db, [agentId])).get(agentId);
  expect(names).toEqual([
    { owner: 'acme', name: 'b' },
    { owner: 'acme', name: 'c' },
  ]);
  await setAgentRepos(db, agentId, []);
  expect((await listReposOfAgents(db, [agentId])).get(agentId)).toBeUndefined();
});

test('lists are pages, newest first', async () => {
  const made = [await repo('p1'), await repo('p2'), await repo('p3')];
  const first = await listRepos(db, { limit: 2 });
  expect(first.items.map(({ name }) => name)).toEqual(['p3', 'p2']);
  const second = await listRepos(db, { limit: 1, cursor: first.nextCursor ?? '' });
  expect(second.items[0]).toEqual(made[0]);
});

test('a repository is forgotten with its issues', async () => {
  const { id } = await repo('gone');
  await db
    .insertInto('issues')
    .values({
      id: newId(),
      repo_id: id,
      number: 1,
      url: 'https://github.com/acme/gone/issues/1',
      title: 'x',
      state: 'open',
      labels: [],
      label_keys: [],
      upstream_updated_at: new Date(),
    })
    .execute();
  expect(await deleteRepo(db, { owner: 'ACME', name: 'gone' })).toBe(true);
  expect(await deleteRepo(db, { owner: 'ACME', name: 'gone' })).toBe(false);
  expect(await db.selectFrom('issues').selectAll().where('repo_id', '=', id).execute()).toEqual([]);
});
