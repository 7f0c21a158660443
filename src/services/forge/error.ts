import type { RepoName } from './forge.ts';

/** Why a forge did not do what was asked. The same for every forge. */
export type ForgeErrorKind =
  | 'bad_credentials'
  | 'missing_permission'
  | 'sso_required'
  | 'read_only'
  | 'not_found'
  | 'moved'
  | 'gone'
  | 'issues_disabled'
  | 'rejected'
  | 'rate_limited'
  | 'unavailable'
  | 'timeout'
  | 'misconfigured';

export type ForgeErrorOptions = {
  /** Seconds after which the forge wants to be asked again. */
  retryAfterSeconds?: number;
  /** The name under which the repository is found now; with kind `moved`. */
  movedTo?: RepoName;
  cause?: unknown;
};

/**
 * A failure of a forge. Its message is one sentence for the operator that names the cause and what
 * to do about it; it carries no secret and nothing that the forge's server wrote.
 */
export class ForgeError extends Error {
  readonly kind: ForgeErrorKind;
  readonly retryAfterSeconds: number | undefined;
  readonly movedTo: RepoName | undefined;

  constructor(kind: ForgeErrorKind, message: string, options: ForgeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ForgeError';
    this.kind = kind;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.movedTo = options.movedTo;
  }
}

export const issuesDisabled = (cause?: unknown): ForgeError =>
  new ForgeError(
    'issues_disabled',
    'Issues are disabled in the repository. Enable them in its settings, or untrack it.',
    { cause },
  );
