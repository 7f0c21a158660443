import { type Config, loadConfig } from './config.ts';
import { loadEnvFile } from './env-file.ts';
import { takeEnvironment } from './environment.ts';
import { createLog, type Log } from './log.ts';

/** Something that was started, and how to end it. */
export type Running = { stop(): Promise<void> };

/** How long after everything should have ended the process ends all the same. */
const LAST_RESORT_MS = 10_000;

/** What each process begins with: its settings and its log, and no secret left in its environment. */
export function openEntry(service: string): { config: Config; log: Log } {
  readEnvFile();
  const { env, exposed } = takeEnvironment();
  const config = loadConfig(env);
  const log = createLog({ level: config.logLevel, service });
  for (const what of exposed) {
    log.warn(
      { what },
      'whoever runs as this user can read these settings in /proc; give them as …_FILE (docs/security.md)',
    );
  }
  return { config, log };
}

/** Takes the settings in `.env`, and says so in one line. */
export function readEnvFile(named?: string): void {
  const told = loadEnvFile(process.env, named);
  if (told !== undefined) process.stderr.write(`defib: ${told}\n`);
}

/**
 * Runs a process: starts it, and on SIGINT or SIGTERM stops it within `drainMs` and a little. What
 * goes wrong at start is told in one readable message, not in a stack trace.
 */
export async function runProcess(options: {
  log: Log;
  drainMs: number;
  start: () => Promise<Running>;
}): Promise<void> {
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    options.log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), options.drainMs + LAST_RESORT_MS).unref();
    void running
      .then((started) => started.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          options.log.error({ err: error }, 'stopping failed');
          process.exit(1);
        },
      );
  };
  // Before anything is started: a signal that is not handled ends the process and leaves that alone.
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  const running = options.start();
  await running;
}

/** Ends the process with a message for a person. */
export function fail(error: unknown): never {
  const isExpected =
    error instanceof Error && (error.name === 'ConfigError' || error.name === 'AppError');
  const text = isExpected ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`defib could not start.\n${text}\n`);
  process.exit(1);
}
