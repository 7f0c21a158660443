import { pino } from 'pino';

/** The logger: JSON lines on stdout, one object each. Pass fields first, then the sentence. */
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
  return pino({
    level: options.level,
    base: { service: options.service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: REDACTED, censor: '[redacted]' },
    formatters: { level: (level) => ({ level }) },
  });
}
