/** A problem document (RFC 9457) of the API, and what its headers add. */
export type Problem = {
  /** Stable: switch on this, never on the text. `unreachable` when there was no answer at all. */
  code: string;
  /** What is wrong, and what to do about it. */
  detail: string;
  status?: number;
  requestId?: string;
  errors?: { path: string; message: string }[];
  successorId?: string;
  retryAfterSeconds?: number;
};

/** An answer that is not a success, or none at all. */
export class DefibError extends Error {
  readonly code: string;
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.detail, options);
    this.name = 'DefibError';
    this.code = problem.code;
    this.problem = problem;
  }
}
