/** What one check found. What is wrong comes with how to fix it. */
export type Finding = { check: string; detail: string } & (
  { state: 'ok' | 'skipped'; fix?: never } | { state: 'wrong'; fix: string }
);

export const ok = (check: string, detail: string): Finding => ({ check, state: 'ok', detail });

export const skipped = (check: string, detail: string): Finding => ({
  check,
  state: 'skipped',
  detail,
});

export const wrong = (check: string, detail: string, fix: string): Finding => ({
  check,
  state: 'wrong',
  detail,
  fix,
});

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
