import { type Kysely, sql } from 'kysely';

/** Who changed what: one row in the transaction of each change. Its ids name things that may be gone. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE audit (
      id uuid PRIMARY KEY,
      at timestamptz NOT NULL DEFAULT now(),
      actor text NOT NULL CHECK (actor IN ('operator', 'agent', 'session', 'system', 'stranger')),
      token_id uuid,
      agent_name text,
      address text,
      request_id text,
      action text NOT NULL,
      target text NOT NULL,
      details jsonb NOT NULL DEFAULT '{}'
    )`.execute(db);
}
