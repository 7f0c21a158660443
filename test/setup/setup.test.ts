import { Client } from 'pg';
import { expect, test } from 'vitest';
import { createTestDatabase } from './database.ts';

test('a', async () => {
  const t = performance.now();
  const db = await createTestDatabase();
  console.log('clone', performance.now() - t);
  const c = new Client(db.url);
  await c.connect();
  expect((await c.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await c.end();
  await db.drop();
});
