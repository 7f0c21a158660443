import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';
import { inject } from 'vitest';

export type TestDatabase = { url: string; drop(): Promise<void> };

/**
 * A database of one's own, cloned from the template that the run migrated once. `drop` cuts off
 * whoever is still connected.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { adminUrl, template } = inject('database');
  const name = `${template}_${randomBytes(5).toString('hex')}`;
  await onServer(adminUrl, (client) => cloneTemplate(client, template, name));
  return {
    url: databaseUrl(adminUrl, name),
    drop: () =>
      onServer(adminUrl, async (client) => {
        await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      }),
  };
}

export function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** Runs `use` with a connection that is closed after it. */
export async function onServer(url: string, use: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}

const objectInUse = '55006';

/** "Source database is being accessed by other users" passes: autovacuum looks in now and then. */
async function cloneTemplate(client: Client, template: string, name: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
      return;
    } catch (error) {
      const busy = error instanceof DatabaseError && error.code === objectInUse;
      if (!busy || tries >= 100) throw error;
      await sleep(50);
    }
  }
}
