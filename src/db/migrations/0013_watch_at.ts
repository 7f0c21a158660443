import { type Kysely, sql } from 'kysely';

/**
 * Lets a beat be an update in place (HOT): it moves `due_at`, so that may not be indexed. The timeout watch goes
 * by `watch_at` instead, which is never later. It moves only when a session becomes due sooner than that, which
 * the trigger sees to whatever changes it, and when the watch looks at the session and finds it renewed.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE sessions ADD COLUMN watch_at timestamptz`.execute(db);
  await sql`UPDATE sessions SET watch_at = due_at WHERE ended_at IS NULL`.execute(db);
  await sql`
    CREATE FUNCTION sessions_watch_at() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      NEW.watch_at := LEAST(
        OLD.watch_at, NEW.lease_expires_at, NEW.deadline_at, NEW.start_deadline_at);
      RETURN NEW;
    END $$`.execute(db);
  await sql`
    CREATE TRIGGER sessions_watch_at
      BEFORE INSERT OR UPDATE OF lease_expires_at, deadline_at, start_deadline_at ON sessions
      FOR EACH ROW EXECUTE FUNCTION sessions_watch_at()`.execute(db);
  await sql`DROP INDEX sessions_due_at_idx`.execute(db);
  await sql`
    CREATE INDEX sessions_watch_at_idx ON sessions (watch_at) WHERE ended_at IS NULL`.execute(db);
  await sql`ALTER TABLE sessions SET (fillfactor = 70)`.execute(db);
}
