/**
 * A `fetch` that gives up after `timeoutMs`, answer's body included, and follows no redirect: who
 * follows one must first look where the token would go.
 */
export function boundedFetch(timeoutMs: number): typeof fetch {
  return async (input, init) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = init?.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
    const response = await fetch(input, { ...init, redirect: 'manual', signal });
    // Read here, because Octokit takes a body that broke off for an empty one.
    const body = await response.text();
    const { status, statusText, headers } = response;
    return new Response(body === '' ? null : body, { status, statusText, headers });
  };
}
