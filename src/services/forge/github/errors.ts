import { ForgeError } from '../error.ts';
import { rateLimitError, retryAfter } from './limits.ts';
import { type ErrorContext, forbidden, gone, notFound, unauthorized } from './refusals.ts';
import { type HttpFailure, isHttpFailure } from './response.ts';

const rejected = (failure: HttpFailure) =>
  new ForgeError(
    'rejected',
    `GitHub rejected the request as invalid (${failure.status}). Check that the names of the labels have at most 50 characters.`,
    { cause: failure },
  );

function unanswered(failure: HttpFailure, context: ErrorContext): ForgeError {
  const cause = failure.cause;
  if (cause instanceof Error && cause.name === 'TimeoutError') {
    const text = `${context.host} did not answer in time. It is tried again later; check https://www.githubstatus.com.`;
    return new ForgeError('timeout', text, { cause: failure });
  }
  const text = `${context.host} could not be reached, or cut the connection. It is tried again later; check the network and GITHUB_API_URL.`;
  return new ForgeError('unavailable', text, { cause: failure });
}

function serverError(failure: HttpFailure, context: ErrorContext): ForgeError {
  const seconds = retryAfter(failure);
  return new ForgeError(
    'unavailable',
    `${context.host} has a failure of its own (${failure.status}). It is tried again later; check https://www.githubstatus.com.`,
    { cause: failure, ...(seconds !== undefined && { retryAfterSeconds: seconds }) },
  );
}

const moved = (failure: HttpFailure) =>
  new ForgeError('moved', 'GitHub has moved it to another place.', { cause: failure });

const BY_STATUS: Record<number, (failure: HttpFailure, context: ErrorContext) => ForgeError> = {
  301: moved,
  302: moved,
  307: moved,
  308: moved,
  400: rejected,
  401: unauthorized,
  403: forbidden,
  404: notFound,
  410: gone,
  422: rejected,
  429: (failure, context) => rateLimitError(failure, context.auth !== 'none'),
  451: gone,
};

/** Whatever Octokit, its plugins or the network threw, as a `ForgeError`. */
export function toForgeError(error: unknown, context: ErrorContext): ForgeError {
  if (error instanceof ForgeError) return error;
  if (isHttpFailure(error)) {
    if (!error.response) return unanswered(error, context);
    return (BY_STATUS[error.status] ?? serverError)(error, context);
  }
  if (context.auth === 'app') {
    const text =
      'The key of the GitHub App cannot be used. Set GITHUB_APP_PRIVATE_KEY to the whole PEM that GitHub gave.';
    return new ForgeError('bad_credentials', text, { cause: error });
  }
  const text = `A request to ${context.host} failed. It is tried again later.`;
  return new ForgeError('unavailable', text, { cause: error });
}
