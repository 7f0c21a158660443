import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { withScratchDatabase } from './scratch-database.ts';

/**
 * Writes `src/db/schema.sql`: what the migrations make, for people to read and reviews to show.
 * With `--check` it only compares, and fails when the file is out of date.
 */
const FILE = join(import.meta.dirname, '../src/db/schema.sql');

const TABLES = `
  SELECT c.relname AS table, string_agg(
    format('  %I %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
      CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
      coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')),
    E',\\n' ORDER BY a.attnum) AS columns
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
    AND c.relname NOT LIKE 'kysely%'
  GROUP BY c.relname ORDER BY c.relname`;

// NOT NULL is shown with its column; newer servers list it as a constraint as well.
const CONSTRAINTS = `
  SELECT conrelid::regclass::text AS table, conname AS name, pg_get_constraintdef(oid) AS definition
  FROM pg_constraint
  WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    AND conrelid::regclass::text NOT LIKE 'kysely%'
  ORDER BY 1, contype DESC, 2`;

const INDEXES = `
  SELECT indexdef AS definition FROM pg_indexes
  WHERE schemaname = 'public' AND tablename NOT LIKE 'kysely%'
    AND indexname NOT IN (SELECT conname FROM pg_constraint)
  ORDER BY tablename, indexname`;

async function dump(url: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const tables = await client.query<{ table: string; columns: string }>(TABLES);
    const constraints = await client.query<{ table: string; name: string; definition: string }>(
      CONSTRAINTS,
    );
    const indexes = await client.query<{ definition: string }>(INDEXES);
    return [
      '-- Made by `npm run schema` from src/db/migrations. Do not edit.',
      ...tables.rows.map(({ table, columns }) => `CREATE TABLE ${table} (\n${columns}\n);`),
      constraints.rows
        .map((row) => `ALTER TABLE ${row.table} ADD CONSTRAINT ${row.name} ${row.definition};`)
        .join('\n'),
      indexes.rows.map(({ definition }) => `${definition};`).join('\n'),
    ].join('\n\n');
  } finally {
    await client.end();
  }
}

const fresh = `${await withScratchDatabase({ queues: false }, dump)}\n`;
if (!process.argv.includes('--check')) {
  await writeFile(FILE, fresh);
} else if ((await readFile(FILE, 'utf8').catch(() => '')) !== fresh) {
  console.error('src/db/schema.sql is out of date. Run: npm run schema');
  process.exitCode = 1;
}
