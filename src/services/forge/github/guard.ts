import type { Octokit, OctokitOptions } from '@octokit/core';
import { ForgeError } from '../error.ts';
import { type HttpFailure, isHttpFailure } from './response.ts';

const failure = (message: string, fields: Omit<HttpFailure, keyof Error>): HttpFailure =>
  Object.assign(new Error(message), fields);

/**
 * Octokit plugin: sends nothing to another origin than the API's, where a link or a redirect would
 * carry the token; turns redirects into failures, and answers that are not whole JSON.
 */
export function guard(octokit: Octokit, options: OctokitOptions): void {
  const origin = new URL(options.baseUrl ?? 'https://api.github.com').origin;
  octokit.hook.wrap('request', async (request, parameters) => {
    const { method, url } = octokit.request.endpoint(parameters);
    const target = new URL(url);
    if (target.origin !== origin) {
      const text = `GitHub points from ${origin} to ${target.origin}, where the credentials must not go. Check GITHUB_API_URL.`;
      throw new ForgeError('misconfigured', text);
    }
    const response = await timed(request(parameters));
    const { status, headers, data } = response;
    const seen = {
      request: { ...parameters, method, url },
      response: { status, headers: texts(headers), data },
    };
    if (status >= 300) throw failure('redirected', { status, ...seen });
    if (typeof data !== 'string') return response;
    if (headers['content-type']?.startsWith('text/html')) {
      const text = `${target.host} answers with a web page. Set GITHUB_API_URL to the root of the REST API.`;
      throw new ForgeError('misconfigured', text);
    }
    // Octokit hands out JSON that it cannot parse as text, so this is an answer that was cut off.
    throw failure('the answer is incomplete', { status: 502, request: seen.request });
  });
}

/** Marks a request that took too long, which Octokit takes for any failure of the connection. */
async function timed<T>(request: T | Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (isHttpFailure(error) && isTimeout(error)) Object.assign(error, { status: 408 });
    throw error;
  }
}

const isTimeout = ({ cause, response }: HttpFailure) =>
  !response && cause instanceof Error && cause.name === 'TimeoutError';

const texts = (headers: Record<string, string | number | undefined>) =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      value === undefined ? undefined : String(value),
    ]),
  );
