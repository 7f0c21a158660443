import { randomBytes } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { type Db, openDb, openPool } from '../../src/db/connect.ts';
import * as agents from '../../src/db/migrations/0001_agents_tokens_runs.ts';
import * as repositories from '../../src/db/migrations/0002_repositories_and_issues.ts';
import * as sessions from '../../src/db/migrations/0003_sessions.ts';
import * as issueKeys from '../../src/db/migrations/0006_issue_keys.ts';
import { newId } from '../../src/services/ids.ts';
import { issueKey } from '../../src/services/issues/issue-key.ts';
import { databaseUrl, onServer } from '../setup/database.ts';

let db: Db;
let drop: () => Promise<void>;

beforeEach(async () => {
  const { adminUrl, template } = inject('database');
  const name = `${template}_${randomBytes(5).toString('hex')}`;
  const admin = (statement: string) =>
    onServer(adminUrl, async (client) => void (await client.query(statement)));
  await admin(`CREATE DATABASE ${name} TEMPLATE template0`);
  drop = () => admin(`DROP DATABASE ${name} WITH (FORCE)`);
  const url = databaseUrl(adminUrl, name);
  db = openDb(openPool({ url, max: 2, applicationName: 'test', onError: () => undefined }));
});
afterEach(async () => {
  await db.destroy();
  await drop();
});

async function addSession(
  agentId: string,
  issueUrl: string | null,
  status: string,
): Promise<string> {
  const id = newId();
  await sql`
    INSERT INTO sessions (id, agent_id, agent_name, root_id, status, objective, issue_url,
      checkpoint_branch, lease_seconds, start_seconds, ended_at)
    VALUES (${id}, ${agentId}, 'builder', ${id}, ${status}, 'work', ${issueUrl}, 'b', 60, 60,
      CASE WHEN ${status} <> 'running' THEN now() END)`.execute(db);
  return id;
}

const keyOf = async (id: string) => {
  const { rows } = await sql<{ issue_key: string | null }>`
    SELECT issue_key FROM sessions WHERE id = ${id}`.execute(db);
  return rows[0]?.issue_key;
};

test('sessions of before get the key of their issue, and one of two on one issue keeps it', async () => {
  const bare = db as unknown as Kysely<unknown>;
  for (const { up } of [agents, repositories, sessions]) await up(bare);
  const agentId = newId();
  await sql`INSERT INTO agents (id, name) VALUES (${agentId}, 'builder')`.execute(db);
  const issue = 'https://github.com/Acme/App/issues/4';
  const first = await addSession(agentId, `${issue}/`, 'running');
  const second = await addSession(agentId, `${issue}#issuecomment-12`, 'running');
  const ended = await addSession(agentId, `${issue}?x=1`, 'completed');
  const elsewhere = await addSession(agentId, 'https://bugs.test/browse/ABC-1/', 'running');
  const none = await addSession(agentId, null, 'running');
  await issueKeys.up(bare);
  expect(await keyOf(first)).toBe(issueKey(issue));
  expect(await keyOf(second)).toBeNull();
  expect(await keyOf(ended)).toBe(issueKey(issue));
  expect(await keyOf(elsewhere)).toBe(issueKey('https://bugs.test/browse/ABC-1/'));
  expect(await keyOf(none)).toBeNull();
});
