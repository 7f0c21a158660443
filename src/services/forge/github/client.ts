import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/core';
import { retry } from '@octokit/plugin-retry';
import type { GitHubAuth } from '../../../config.ts';
import type { Log } from '../../../log.ts';
import { abortable } from '../abortable.ts';
import { credentialGate } from './credential-gate.ts';
import { toForgeError } from './errors.ts';
import { boundedFetch } from './fetch.ts';
import { guard } from './guard.ts';
import { rateGate } from './limits.ts';

export type ClientOptions = {
  /** Root of the REST API, without a slash at its end. */
  apiUrl: string;
  auth: GitHubAuth;
  log: Log;
  /** Longest that one request may take, in milliseconds. */
  requestTimeoutMs: number;
  /** Wait before the first repetition of a failed request, in milliseconds; the second waits 4 times that. */
  retryBaseMs: number;
  /** A monotonic clock in milliseconds. */
  monotonicNow: () => number;
};

// The guard comes first, so that it sits innermost: what it refuses, the retry plugin repeats.
const Client = Octokit.plugin(guard, retry);

// A timeout (408, see the guard) would keep others waiting as long again. 429 would be repeated at
// once, whatever Retry-After says.
const NEVER_REPEATED = [400, 401, 403, 404, 408, 409, 410, 418, 422, 429, 451];

// What Octokit remarks on is ours to weigh: it comes back as an error where it matters.
const octokitLog = (log: Log) => ({
  debug: (message: string) => log.debug({}, message),
  info: (message: string) => log.debug({}, message),
  warn: (message: string) => log.info({}, message),
  error: (message: string) => log.info({}, message),
});

function authentication(auth: GitHubAuth) {
  if (auth.kind === 'none') return {};
  if (auth.kind === 'token') return { auth: auth.token };
  const { appId, privateKey, installationId } = auth;
  return { authStrategy: createAppAuth, auth: { appId, privateKey, installationId } };
}

/**
 * An Octokit whose requests reject with `ForgeError`, or with the signal's reason at once when it
 * aborts. It never waits, for a rate limit or for its turn: who may ask when is decided where the
 * work waits, so that nobody who has given up keeps a place.
 */
export function createClient(options: ClientOptions) {
  const { apiUrl, auth } = options;
  const log = octokitLog(options.log);
  const octokit = new Client({
    ...authentication(auth),
    baseUrl: apiUrl,
    userAgent: 'defib',
    log,
    request: { fetch: boundedFetch(options.requestTimeoutMs), log },
    retry: {
      retries: 2,
      retryAfterBaseValue: options.retryBaseMs,
      doNotRetry: NEVER_REPEATED,
    },
  });
  const context = { auth: auth.kind, host: new URL(apiUrl).host };
  const gate = rateGate(options.monotonicNow);
  const credentials = credentialGate(options.monotonicNow);
  // Registered last, so that it sits outermost.
  octokit.hook.wrap('request', async (request, parameters) => {
    const signal = parameters.request.signal;
    gate.pass();
    const trial = credentials.pass();
    try {
      const answer = Promise.resolve(request(parameters));
      const response = await (signal ? abortable(answer, signal) : answer);
      trial.accepted();
      return response;
    } catch (error) {
      trial.over();
      signal?.throwIfAborted();
      const failure = toForgeError(error, context);
      if (failure.kind === 'rate_limited') gate.shut(failure);
      if (failure.kind === 'bad_credentials') credentials.shut(failure);
      throw failure;
    }
  });
  return octokit;
}
export type Client = ReturnType<typeof createClient>;
