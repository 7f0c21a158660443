import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/core';
import { paginateRest } from '@octokit/plugin-paginate-rest';
import { retry } from '@octokit/plugin-retry';
import { throttling } from '@octokit/plugin-throttling';
import { randomUUID } from 'node:crypto';
import type { GitHubAuth } from '../../../config.ts';
import type { Log } from '../../../log.ts';
import { abortable } from '../abortable.ts';
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
  /** Whether to space out requests: ten at once, one write a second. */
  throttle: boolean;
  /** A monotonic clock in milliseconds. */
  monotonicNow: () => number;
};

// The guard comes first, so that it sits innermost: what it refuses, the retry plugin repeats.
const Client = Octokit.plugin(guard, paginateRest, retry, throttling);

// 429 is not in the plugin's own list: it would be repeated at once, whatever Retry-After says.
const NEVER_REPEATED = [400, 401, 403, 404, 409, 410, 422, 429, 451];

// What Octokit remarks on is ours to weigh: it comes back as an error where it matters.
const octokitLog = (log: Log) => ({
  debug: (message: string) => log.debug({}, message),
  info: (message: string) => log.debug({}, message),
  warn: (message: string) => log.info({}, message),
  error: (message: string) => log.info({}, message),
});

const refuse = () => undefined;

function authentication(auth: GitHubAuth) {
  if (auth.kind === 'none') return {};
  if (auth.kind === 'token') return { auth: auth.token };
  const { appId, privateKey, installationId } = auth;
  return { authStrategy: createAppAuth, auth: { appId, privateKey, installationId } };
}

/**
 * An Octokit whose requests reject with `ForgeError`, or with the signal's reason at once when it
 * aborts. It never waits for a rate limit: that is an error with the time when it opens again.
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
    throttle: {
      enabled: options.throttle,
      // The plugin's queues are shared by all clients of the process that carry the same id.
      id: randomUUID(),
      onRateLimit: refuse,
      onSecondaryRateLimit: refuse,
    },
  });
  const context = { auth: auth.kind, host: new URL(apiUrl).host };
  const gate = rateGate(options.monotonicNow);
  // Registered last, so that it sits outermost. Errors lose their status here on purpose: the
  // pagination plugin takes a 409 for an empty last page.
  octokit.hook.wrap('request', async (request, parameters) => {
    const signal = parameters.request.signal;
    gate.pass();
    try {
      const response = Promise.resolve(request(parameters));
      return await (signal ? abortable(response, signal) : response);
    } catch (error) {
      signal?.throwIfAborted();
      const failure = toForgeError(error, context);
      if (failure.kind === 'rate_limited') gate.shut(failure);
      throw failure;
    }
  });
  return octokit;
}
export type Client = ReturnType<typeof createClient>;
