import { Client, DatabaseError, type QueryResult } from 'pg';
import { createStatementNames } from './statements.ts';

const statements = createStatementNames();

/**
 * A connection on which statements that come again are prepared: the server parses and plans each
 * of them once. A class because that is how a pool takes it.
 */
export class PreparingClient extends Client {
  // The driver declares a signature for each way to call it; pools and Kysely use two of them.
  // oxlint-disable typescript/no-explicit-any
  override query(text: any, values?: any, callback?: any): any {
    const name = statements.nameOf(text, values);
    if (name === undefined) return super.query(text, values, callback);
    const answer = this.execute(name, text, values);
    if (!callback) return answer;
    // oxlint-disable-next-line promise/no-callback-in-promise -- it is how a pool asks
    answer.then((result) => callback(null, result), callback);
  }

  // oxlint-enable typescript/no-explicit-any

  private async execute(name: string, text: string, values: unknown[]): Promise<QueryResult> {
    try {
      return await super.query({ name, text, values });
    } catch (error) {
      if (!isOutdated(error)) throw error;
      statements.renew(text);
      // An error costs a transaction all that it did; only its owner can begin it again.
      if (this.getTransactionStatus() !== 'I') throw error;
      return await super.query(text, values);
    }
  }
}

/** A migration gave a table other columns, and with them another result to `SELECT *`. */
function isOutdated(error: unknown): boolean {
  return (
    error instanceof DatabaseError &&
    error.code === '0A000' &&
    error.message.includes('cached plan must not change result type')
  );
}
