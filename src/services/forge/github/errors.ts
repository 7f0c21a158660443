import { ForgeError } from '../error.ts';
import { rateLimitError, retryAfter } from './limits.ts';
import { type ErrorContext, forbidden, gone, notFound, unauthorized } from './refusals.ts';
import { type HttpFailure, isHttpFailure } from './response.ts';

/** What was sent is at fault, as far as GitHub says; whose fault it is depends on what was asked. */
function rejected(failure: HttpFailure): ForgeError {
  const { status, request } = failure;
  const labels = request.method !== 'GET' && new URL(request.url).pathname.includes('/labels');
  const text = labels
    ? `GitHub rejected the labels (${status}). Check the names in DEFIB_LABEL_…: they may have at ` +
      'most 50 characters, with the name of the agent behind DEFIB_LABEL_AGENT_PREFIX.'
    : `GitHub rejected the request as invalid (${status}). It is tried again later; if it stays, check GITHUB_API_URL.`;
  return new ForgeError('rejected', text, { cause: failure });
}

const refused = (failure: HttpFailure) =>
  new ForgeError(
    'rejected',
    `GitHub refused the request (${failure.status}) and does not say why. It is tried again later; check GITHUB_API_URL and any proxy on the way.`,
    { cause: failure },
  );

const conflict = (failure: HttpFailure) =>
  new ForgeError(
    'unavailable',
    'GitHub says that something else changes the repository at the moment: conflict (409). It is tried again later; if it stays, look at the repository on GitHub.',
    { cause: failure },
  );

const notModified = (failure: HttpFailure, context: ErrorContext) =>
  new ForgeError(
    'unavailable',
    `${context.host} answers "not modified" (304) to a question that allows no such answer. It is tried again later; check any proxy or cache on the way.`,
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

// Who asked finds out where it went, if that can be found out.
const moved = (failure: HttpFailure) =>
  new ForgeError('moved', `GitHub redirects (${failure.status}) to another place.`, {
    cause: failure,
  });

const BY_STATUS: Record<number, (failure: HttpFailure, context: ErrorContext) => ForgeError> = {
  301: moved,
  302: moved,
  304: notModified,
  307: moved,
  308: moved,
  400: rejected,
  401: unauthorized,
  403: forbidden,
  404: notFound,
  409: conflict,
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
    const unlisted = error.status < 500 ? refused : serverError;
    return (BY_STATUS[error.status] ?? unlisted)(error, context);
  }
  if (context.auth === 'app') {
    const text =
      'The key of the GitHub App cannot be used. Set GITHUB_APP_PRIVATE_KEY to the whole PEM that GitHub gave.';
    return new ForgeError('bad_credentials', text, { cause: error });
  }
  const text = `A request to ${context.host} failed. It is tried again later.`;
  return new ForgeError('unavailable', text, { cause: error });
}
