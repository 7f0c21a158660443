import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { migrate } from '../../src/db/migrate.ts';
import { databaseUrl } from './database.ts';

export type Template = { name: string; drop(): Promise<void> };

/**
 * A migrated database to clone. Its name begins the names of all clones, and is the
 * `application_name` of a connection that is held while the run lives: on a server that runs share,
 * databases without one were left by a run that was killed, and go.
 */
export async function createTemplate(adminUrl: string): Promise<Template> {
  const name = `defib_test_${randomBytes(5).toString('hex')}`;
  const client = new Client({ connectionString: adminUrl, application_name: name });
  // A lost connection shows in the next query.
  client.on('error', () => undefined);
  await client.connect();
  await dropDatabases(client, abandoned);
  await client.query(`CREATE DATABASE ${name} IS_TEMPLATE true`);
  await migrate(databaseUrl(adminUrl, name), { queues: true });
  // Whoever connected to it would keep others from cloning it.
  await client.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  return {
    name,
    async drop() {
      await dropDatabases(client, `datname LIKE '${name}%'`);
      await client.end();
    },
  };
}

const abandoned = `datname ~ '^defib_test_[0-9a-f]{10}' AND left(datname, 21) NOT IN
  (SELECT application_name FROM pg_stat_activity WHERE application_name IS NOT NULL)`;

async function dropDatabases(client: Client, where: string): Promise<void> {
  const { rows } = await client.query<{ datname: string; datistemplate: boolean }>(
    `SELECT datname, datistemplate FROM pg_database WHERE ${where}`,
  );
  for (const { datname, datistemplate } of rows) {
    if (datistemplate) await client.query(`ALTER DATABASE ${datname} IS_TEMPLATE false`);
    await client.query(`DROP DATABASE IF EXISTS ${datname} WITH (FORCE)`);
  }
}
