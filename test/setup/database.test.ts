import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { createTestDatabase, databaseUrl } from './database.ts';
import { createTemplate } from './template.ts';

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

async function exists(serverUrl: string, name: string): Promise<boolean> {
  const client = await connect(databaseUrl(serverUrl, 'postgres'));
  const found = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
  return found.rowCount === 1;
}

const nameOf = (url: string) => new URL(url).pathname.slice(1);

test('databases made at the same time are migrated and see nothing of each other', async () => {
  const databases = await Promise.all(Array.from({ length: 5 }, createTestDatabase));
  onTestFinished(async () => void (await Promise.all(databases.map(({ drop }) => drop()))));
  const clients = await Promise.all(databases.map(({ url }) => connect(url)));

  for (const client of clients) await client.query('CREATE TABLE mine (n int)');
  const migrated = await clients[0]!.query('SELECT count(*)::int AS n FROM kysely_migration');
  expect(migrated.rows[0].n).toBeGreaterThan(0);
});

test('drop cuts off whoever is connected', async () => {
  const database = await createTestDatabase();
  const client = await connect(database.url);
  await database.drop();
  await expect(client.query('SELECT 1')).rejects.toThrow();
  expect(await exists(database.url, nameOf(database.url))).toBe(false);
});

test('what a killed run left on a shared server goes, what live runs use stays', async () => {
  const live = await createTestDatabase();
  onTestFinished(live.drop);
  const admin = await connect(databaseUrl(live.url, 'postgres'));
  await admin.query('CREATE DATABASE defib_test_0123456789 IS_TEMPLATE true');
  await admin.query('CREATE DATABASE defib_test_0123456789_abc');

  const template = await createTemplate(databaseUrl(live.url, 'postgres'));
  onTestFinished(template.drop);

  expect(await exists(live.url, 'defib_test_0123456789')).toBe(false);
  expect(await exists(live.url, 'defib_test_0123456789_abc')).toBe(false);
  expect(await exists(live.url, nameOf(live.url))).toBe(true);
});
