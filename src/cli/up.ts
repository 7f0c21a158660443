import { type Command, Option } from 'commander';
import { userDataDir } from '../data-dir.ts';
import { useUserDataDir } from './frame/data-dir.ts';

const PARTS = {
  web: () => import('../web.ts'),
  worker: () => import('../worker.ts'),
};

export function define(command: Command): void {
  command
    .description(
      'Starts the service in the foreground: API and workers, on a PostgreSQL of its own\n' +
        'unless DATABASE_URL is set. It prints where it listens, the operator token and a first call.',
    )
    .addOption(
      new Option('--only <part>', 'one part, where several share a DATABASE_URL').choices(
        Object.keys(PARTS),
      ),
    )
    .addHelpText(
      'after',
      `
Examples:
  defib up
  PORT=8080 DEFIB_DATA_DIR=/var/lib/defib defib up
  DEFIB_DATA_DIR=.defib defib up             with the data of "npm start" in this checkout
  DATABASE_URL=postgres://defib@db/defib REDIS_URL=redis://redis defib up
  defib release && defib up --only web       the database first, then each part

Its data are in DEFIB_DATA_DIR (${userDataDir(process.env)}).
Its settings are environment variables; .env.example in the package lists them all.`,
    )
    .action(async ({ only }: { only?: keyof typeof PARTS }) => {
      useUserDataDir();
      // Each is a program of its own, which runs when it is imported.
      await (only === undefined ? import('../main.ts') : PARTS[only]());
    });
}
