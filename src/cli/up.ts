import type { Command } from 'commander';

/** `defib up`: what `npm start` does. */
export function define(command: Command): void {
  command
    .description(
      'Starts the service in the foreground: API and workers, on a PostgreSQL of its own\n' +
        'unless DATABASE_URL is set. It prints where it listens, the operator token and a first call.',
    )
    .addHelpText(
      'after',
      `
Examples:
  defib up
  PORT=8080 DEFIB_DATA_DIR=/var/lib/defib defib up
  DATABASE_URL=postgres://defib@db/defib REDIS_URL=redis://redis defib up

Its settings are environment variables; .env.example in the package lists them all.`,
    )
    .action(async () => {
      await import('../main.ts');
    });
}
