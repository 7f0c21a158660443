import type { Pool } from 'pg';
import { AppError } from '../errors.ts';

/**
 * Connects once, so that a database that cannot be used is told at start, in one sentence.
 *
 * @throws AppError `unavailable`. Its text names host, port and database of `url`, never the password.
 */
export async function assertAnswers(pool: Pool, url: string): Promise<void> {
  try {
    const client = await pool.connect();
    client.release();
  } catch (error) {
    throw new AppError('unavailable', explain(error, url), { transient: true, cause: error });
  }
}

function explain(error: unknown, url: string): string {
  const address = URL.parse(url);
  const where = `PostgreSQL at ${address?.hostname || 'DATABASE_URL'}:${address?.port || 5432}`;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  switch (code) {
    case '28P01':
    case '28000':
      return `${where} refuses the user or the password. Fix DATABASE_URL.`;
    case '3D000':
      return `${where} has no database "${address?.pathname.slice(1)}". Create it, or fix DATABASE_URL.`;
    // PgBouncer and its like refuse settings that they cannot keep for a client.
    case '08P01':
      return `${where} is a pooler that refuses the settings of our connections. Give the database's own address, or set DEFIB_DATABASE_POOLER=transaction.`;
    default: {
      // Where a name has several addresses, the error is about all of them and has no text.
      const cause = (error instanceof Error && error.message) || code || 'it does not answer';
      return `${where} cannot be used: ${cause}. Check that it runs and that DATABASE_URL is right.`;
    }
  }
}
