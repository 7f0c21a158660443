/** Stable error codes of the HTTP contract. A client may switch on these; the texts may change. */
export type ErrorCode =
  | 'malformed'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'session_ended'
  | 'session_superseded'
  | 'issue_claimed'
  | 'conflict'
  | 'too_large'
  | 'invalid'
  | 'idempotency_mismatch'
  | 'rate_limited'
  | 'unavailable'
  | 'overloaded'
  | 'internal';

export type FieldError = { path: string; message: string };

export type AppErrorOptions = {
  /** Whether trying the same thing again can succeed. Decides retries in the queue. */
  transient?: boolean;
  /** Seconds after which a retry makes sense. Sent as `Retry-After`. */
  retryAfterSeconds?: number;
  errors?: FieldError[];
  successorId?: string;
  cause?: unknown;
};

/**
 * The one error class of the product. Its message is written for the caller: it says what is wrong
 * and what to do, and never carries internals. Two tables translate it: `http/problem.ts` to
 * HTTP, `jobs/workers.ts` to the queue.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly transient: boolean;
  readonly retryAfterSeconds: number | undefined;
  readonly errors: FieldError[] | undefined;
  readonly successorId: string | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.transient = options.transient ?? false;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.errors = options.errors;
    this.successorId = options.successorId;
  }
}
