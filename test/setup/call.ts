export type Call = (
  method: string,
  path: string,
  options?: { token?: string | null; body?: unknown; headers?: Record<string, string> },
) => Promise<Answer>;

/** Whatever JSON came; the expectations of a test say what it must be. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;

export type Answer = { status: number; headers: Headers; body: Json; text: string };

/** Calls the API of a service at `url`; a body is sent as JSON, a string as it is. */
export function caller(url: string, operatorToken: string): Call {
  return async (method, path, { token = operatorToken, body, headers = {} } = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token !== null && { Authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: parse(text), text };
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
