import { AppError } from '../../../src/errors.ts';
import { startEmbeddedPostgres } from '../../../src/db/embedded.ts';

/**
 * An instance in a process of its own, to be killed by tests. Arguments: the options as JSON. Prints
 * one line of JSON, and ignores Ctrl-C like a service that still drains.
 */
process.on('SIGINT', () => undefined);
process.on('SIGHUP', () => undefined);
// As the last resort of a service that does not come to its end.
process.on('SIGUSR2', () => process.exit(1));

const print = (line: object) => console.log(JSON.stringify(line));

try {
  const warnings: string[] = [];
  const server = await startEmbeddedPostgres({
    ...JSON.parse(process.argv[2] ?? '{}'),
    log: (level: string, message: string) => {
      if (level === 'warn') warnings.push(message);
    },
  });
  const stop = () => void server.stop().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  // The test process that started it holds the other end.
  process.stdin.on('end', stop).resume();
  print({ url: server.url, warnings });
} catch (error) {
  print({ error: String(error), code: error instanceof AppError ? error.code : undefined });
  process.exit(1);
}
