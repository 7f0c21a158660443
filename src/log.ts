import { type LoggerOptions, pino } from 'pino';
import { terminal } from './log-line.ts';

/** The logger: JSON lines on stdout, one object each; on a terminal, lines for people. Pass fields first, then the sentence. */
export type Log = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Log;
};

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

// Belt and braces: no code logs these, and if some day one does, they stay out of the log.
const REDACTED = ['authorization', 'token', '*.authorization', '*.token', 'headers.authorization'];

export function createLog(options: { level: LogLevel; service: string }): Log {
  const settings: LoggerOptions = {
    level: options.level,
    base: { service: options.service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: REDACTED, censor: '[redacted]' },
    serializers: { err: describeError },
    formatters: { level: (level) => ({ level }) },
  };
  return process.stdout.isTTY ? pino(settings, terminal(process.stdout)) : pino(settings);
}

/**
 * An error as the log shows it: what a person needs, and nothing that libraries hang on their
 * errors, such as whole connections.
 */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  return {
    name: error.name,
    message: error.message,
    ...('code' in error && { code: error.code }),
    stack: error.stack,
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  };
}
