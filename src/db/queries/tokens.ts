import { sql, type SqlBool } from 'kysely';
import type { Db } from '../connect.ts';
import { type Page, type PageRequest, toPage } from '../page.ts';
import type { Token, TokenScope } from '../schema.ts';

export type NewToken = {
  id: string;
  hash: Buffer;
  scope: TokenScope;
  agentId: string | null;
  sessionId: string | null;
  expiresAt: Date | null;
};

export type TokenView = Omit<Token, 'hash'> & { agent_name: string | null };

export async function insertToken(db: Db, token: NewToken): Promise<void> {
  await db
    .insertInto('tokens')
    .values({
      id: token.id,
      hash: token.hash,
      scope: token.scope,
      agent_id: token.agentId,
      session_id: token.sessionId,
      expires_at: token.expiresAt,
    })
    .execute();
}

const withAgent = (db: Db) =>
  db
    .selectFrom('tokens')
    .leftJoin('agents', 'agents.id', 'tokens.agent_id')
    .select([
      'tokens.id',
      'tokens.scope',
      'tokens.agent_id',
      'tokens.session_id',
      'tokens.created_at',
      'tokens.expires_at',
      'tokens.revoked_at',
      'tokens.last_used_at',
      'agents.name as agent_name',
    ]);

/** For how long the token of a session that ended still serves: saved work may come late. */
const AFTER_END = sql`interval '7 days'`;

/** SQL: the session of a token, if it has one, has not ended long ago. */
const SESSION_IS_NEAR = sql<SqlBool>`NOT EXISTS (
  SELECT FROM sessions
  WHERE sessions.id = tokens.session_id AND sessions.ended_at < now() - ${AFTER_END})`;

/**
 * The token with this hash if it is valid now: neither revoked nor expired, nor of a session that ended long
 * ago, by the database's clock.
 */
export async function findValidToken(db: Db, hash: Buffer): Promise<TokenView | undefined> {
  return await withAgent(db)
    .where('tokens.hash', '=', hash)
    .where('tokens.revoked_at', 'is', null)
    .where((eb) =>
      eb.or([eb('tokens.expires_at', 'is', null), eb('tokens.expires_at', '>', sql<Date>`now()`)]),
    )
    .where(SESSION_IS_NEAR)
    .executeTakeFirst();
}

export async function findToken(db: Db, id: string): Promise<TokenView | undefined> {
  return await withAgent(db).where('tokens.id', '=', id).executeTakeFirst();
}

export async function listTokens(db: Db, { limit, cursor }: PageRequest): Promise<Page<TokenView>> {
  const rows = await withAgent(db)
    .$if(cursor !== undefined, (query) => query.where('tokens.id', '<', cursor ?? ''))
    .orderBy('tokens.id', 'desc')
    .limit(limit + 1)
    .execute();
  return toPage(rows, limit);
}

/** Returns false where there is no such token. Revoking twice keeps the first time. */
export async function revokeToken(db: Db, id: string): Promise<boolean> {
  const row = await db
    .updateTable('tokens')
    .set({ revoked_at: sql<Date>`coalesce(revoked_at, now())` })
    .where('id', '=', id)
    .returning('id')
    .executeTakeFirst();
  return row !== undefined;
}

/** Notes when tokens were last used, many in one statement. */
export async function touchTokens(db: Db, uses: Map<string, Date>): Promise<void> {
  if (uses.size === 0) return;
  await sql`
    UPDATE tokens SET last_used_at = greatest(last_used_at, used.at)
    FROM unnest(${[...uses.keys()]}::uuid[], ${[...uses.values()]}::timestamptz[]) AS used (id, at)
    WHERE tokens.id = used.id`.execute(db);
}

export async function validOperatorTokenExists(db: Db): Promise<boolean> {
  const row = await db
    .selectFrom('tokens')
    .select('id')
    .where('scope', '=', 'operator')
    .where('revoked_at', 'is', null)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', sql<Date>`now()`)]))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

export async function revokeSessionTokens(db: Db, sessionId: string): Promise<void> {
  await db
    .updateTable('tokens')
    .set({ revoked_at: sql<Date>`now()` })
    .where('session_id', '=', sessionId)
    .where('revoked_at', 'is', null)
    .execute();
}
