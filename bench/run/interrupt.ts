/** Aborts on Ctrl-C and on SIGTERM, so that a run unwinds as at its normal end. */
export function interruptSignal(): AbortSignal {
  const interrupt = new AbortController();
  process.on('SIGINT', () => interrupt.abort());
  process.on('SIGTERM', () => interrupt.abort());
  return interrupt.signal;
}
