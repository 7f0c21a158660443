/** The part of Octokit's failures that we read; its own class also fits. */
export type HttpFailure = Error & {
  status: number;
  request: { method: string; url: string };
  response?: { status: number; headers: Record<string, string | undefined>; data: unknown };
};

export function isHttpFailure(error: unknown): error is HttpFailure {
  return error instanceof Error && 'status' in error && 'request' in error;
}

/** What GitHub wrote in an error's body; for telling causes apart, never for showing. */
export function messageOf(failure: HttpFailure): string {
  const data = failure.response?.data;
  if (typeof data !== 'object' || data === null || !('message' in data)) return '';
  return typeof data.message === 'string' ? data.message : '';
}

export function headerOf(failure: HttpFailure, name: string): string | undefined {
  return failure.response?.headers[name];
}

/** The server's clock in milliseconds, or ours where it does not say. */
export function servedAt(failure: HttpFailure): number {
  const date = Date.parse(headerOf(failure, 'date') ?? '');
  return Number.isNaN(date) ? Date.now() : date;
}
