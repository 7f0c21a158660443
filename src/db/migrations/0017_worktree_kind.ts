import { type Kysely, sql } from 'kysely';

/** What the worktree of an attempt is to that of the attempt before: the same, a linked worktree, a clone. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE sessions ADD COLUMN worktree_kind text`.execute(db);
}
