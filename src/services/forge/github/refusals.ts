import type { GitHubAuth } from '../../../config.ts';
import { ForgeError, issuesDisabled } from '../error.ts';
import { isRateLimit, rateLimitError } from './limits.ts';
import { type HttpFailure, headerOf, messageOf } from './response.ts';

export type ErrorContext = { auth: GitHubAuth['kind']; host: string };

const CREDENTIALS: Record<GitHubAuth['kind'], string> = {
  none: 'Set GITHUB_TOKEN, or the three GITHUB_APP_… variables',
  token: 'Set GITHUB_TOKEN to a valid token',
  app: 'Check GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and GITHUB_APP_INSTALLATION_ID',
};

const ACCESS: Record<GitHubAuth['kind'], string> = {
  none: 'If it is private, set GITHUB_TOKEN or the three GITHUB_APP_… variables',
  token: 'If it exists, give the token of GITHUB_TOKEN access to it',
  app: 'If it exists, add it to the installation of the GitHub App',
};

export function unauthorized(failure: HttpFailure, context: ErrorContext): ForgeError {
  const cause = failure.request.url.endsWith('/access_tokens')
    ? 'GitHub refused the key of the GitHub App (401)'
    : 'GitHub refused the credentials (401): they are wrong, expired or revoked';
  return new ForgeError(
    'bad_credentials',
    `${cause}. ${CREDENTIALS[context.auth]} and start again.`,
    { cause: failure },
  );
}

function missingPermission(failure: HttpFailure, context: ErrorContext): string {
  const level = failure.request.method === 'GET' ? 'read' : 'read and write';
  const who = context.auth === 'app' ? 'the GitHub App' : 'the token of GITHUB_TOKEN';
  if (context.auth === 'none')
    return `GitHub refused without credentials (403). ${CREDENTIALS.none}.`;
  const classic = context.auth === 'token' ? ' (a classic token: the scope "repo")' : '';
  return `GitHub refused (403): ${who} lacks a permission. Grant it "Issues: ${level}"${classic}.`;
}

export function forbidden(failure: HttpFailure, context: ErrorContext): ForgeError {
  const options = { cause: failure };
  if (isRateLimit(failure)) return rateLimitError(failure, context.auth !== 'none');
  if (headerOf(failure, 'x-github-sso')?.startsWith('required')) {
    const text =
      'GitHub refused (403): the organisation requires single sign-on. Authorize the token of ' +
      'GITHUB_TOKEN for it under "Configure SSO" in the settings of the token.';
    return new ForgeError('sso_required', text, options);
  }
  const message = messageOf(failure);
  if (/archived/i.test(message)) {
    const text =
      'The repository is archived, so GitHub takes no changes. Unarchive it or untrack it.';
    return new ForgeError('read_only', text, options);
  }
  if (/ip allow list/i.test(message)) {
    const text =
      'GitHub refused (403): the owner allows listed IP addresses only. Add the address of this server.';
    return new ForgeError('missing_permission', text, options);
  }
  return new ForgeError('missing_permission', missingPermission(failure, context), options);
}

export function notFound(failure: HttpFailure, context: ErrorContext): ForgeError {
  const { pathname } = new URL(failure.request.url, 'http://unknown.invalid');
  if (pathname.endsWith('/access_tokens')) {
    const text =
      'GitHub knows no such installation of the GitHub App (404). Check GITHUB_APP_INSTALLATION_ID.';
    return new ForgeError('bad_credentials', text, { cause: failure });
  }
  if (/\/issues\/\d+/.test(pathname)) {
    const text =
      'GitHub does not find the issue (404): it was deleted, or access to it was taken away.';
    return new ForgeError('not_found', text, { cause: failure });
  }
  if (messageOf(failure) === '') {
    const text = `${context.host} does not answer like the GitHub API (404). Check GITHUB_API_URL.`;
    return new ForgeError('misconfigured', text, { cause: failure });
  }
  const text = `GitHub does not find the repository (404). ${ACCESS[context.auth]}; if it was removed, untrack it.`;
  return new ForgeError('not_found', text, { cause: failure });
}

export function gone(failure: HttpFailure): ForgeError {
  if (/issues (are|has been|have been) disabled/i.test(messageOf(failure)))
    return issuesDisabled(failure);
  const text =
    failure.status === 451
      ? 'GitHub blocked the repository for legal reasons (451). Untrack it.'
      : 'GitHub says that it is gone for good (410). Untrack the repository if it was removed.';
  return new ForgeError('gone', text, { cause: failure });
}
