/** How the embedded server tells the operator what it did; the caller decides where it goes. */
export type Log = (
  level: 'info' | 'warn',
  message: string,
  fields?: Record<string, unknown>,
) => void;
