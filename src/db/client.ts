import { Client, DatabaseError, type QueryResult } from 'pg';
import { createStatementNames } from './statements.ts';

export type ClientOptions = {
  /** Whether statements that come again are prepared: parsed and planned once. */
  prepare: boolean;
  /** How long a statement may stay without an answer, in milliseconds; undefined: for ever. */
  answerMs: number | undefined;
};

const statements = createStatementNames();

/**
 * Makes the kind of connection that a pool opens. Besides preparing statements it ends itself where
 * it is of no more use, so that the pool opens another: when the server says so, and when the
 * server has stopped answering, as nobody can tell what became of the statement then.
 */
export function clientClass({ prepare, answerMs }: ClientOptions): new () => Client {
  // A class because that is how a pool takes it.
  return class PoolClient extends Client {
    // The driver declares a signature for each way to call it; pools and Kysely use two of them.
    // oxlint-disable typescript/no-explicit-any
    override query(text: any, values?: any, callback?: any): any {
      if (typeof text !== 'string' || typeof values === 'function') {
        return super.query(text, values, callback);
      }
      const answer = this.#ask(text, values);
      if (!callback) return answer;
      // oxlint-disable-next-line promise/no-callback-in-promise -- it is how a pool asks
      answer.then((result) => callback(null, result), callback);
    }
    // oxlint-enable typescript/no-explicit-any

    async #ask(text: string, values: unknown[] | undefined): Promise<QueryResult> {
      const timer = answerMs === undefined ? undefined : setTimeout(() => this.#giveUp(), answerMs);
      try {
        return await this.#execute(text, values);
      } catch (error) {
        if (isFatal(error)) await this.#breakOff(error);
        throw error;
      } finally {
        clearTimeout(timer);
      }
    }

    async #execute(text: string, values: unknown[] | undefined): Promise<QueryResult> {
      const name = prepare ? statements.nameOf(text, values) : undefined;
      if (name === undefined) return await super.query(text, values);
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

    /**
     * As if the socket had broken, and not by `end()`: that emits no error, and whoever listens for
     * notifications here would wait for ever. Resolves when all who listen know.
     */
    async #breakOff(error: Error): Promise<void> {
      const { stream } = this.connection;
      if (stream.closed) return;
      await new Promise<void>((resolve) => {
        stream.once('close', resolve);
        stream.destroy(error);
      });
    }

    #giveUp(): void {
      this.connection.stream.destroy(new Error(`${NO_ANSWER} within ${answerMs} ms`));
    }
  };
}

/** Begins the error of a statement that was given up. */
export const NO_ANSWER = 'the database did not answer';

/** With its error the server ended the session, as when it shuts down. */
function isFatal(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.severity === 'FATAL';
}

/** A migration gave a table other columns, and with them another result to `SELECT *`. */
function isOutdated(error: unknown): boolean {
  return (
    error instanceof DatabaseError &&
    error.code === '0A000' &&
    error.message.includes('cached plan must not change result type')
  );
}
