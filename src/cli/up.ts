import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { userDataDir } from '../data-dir.ts';
import { note } from './frame/output.ts';
import { readSettings, useUserDataDir } from './frame/settings.ts';
import { startDetached } from './up/detached.ts';
import { type UnitKind, UNITS, unitFor } from './up/unit.ts';

const PARTS = {
  web: () => import('../web.ts'),
  worker: () => import('../worker.ts'),
};

type Options = {
  detach?: true;
  only?: keyof typeof PARTS;
  envFile?: string;
  printUnit?: UnitKind;
};

export function define(command: Command): void {
  command
    .description(
      'Starts the service: API and workers, on a PostgreSQL of its own unless DATABASE_URL is set. It prints\n' +
        'where it listens, the operator token and a first call.',
    )
    .option('-d, --detach', 'in the background; waits until it is ready. "defib down" stops it')
    .addOption(
      new Option('--only <part>', 'one part, where several share a DATABASE_URL')
        .choices(Object.keys(PARTS))
        .conflicts('detach'),
    )
    .option(
      '--env-file <file>',
      'settings, where the environment has none; default: .env, if it is there',
    )
    .addOption(
      new Option(
        '--print-unit <kind>',
        'print a definition that starts it with your session, and start nothing',
      ).choices(UNITS),
    )
    .addHelpText(
      'after',
      `
Examples:
  defib up -d
  PORT=8080 DEFIB_DATA_DIR=/var/lib/defib defib up
  DEFIB_DATA_DIR=.defib defib up             with the data of "npm start" in this checkout
  DATABASE_URL=postgres://defib@db/defib REDIS_URL=redis://redis defib up
  defib release && defib up --only web       the database first, then each part
  defib up --print-unit systemd > ~/.config/systemd/user/defib.service

Its data are in DEFIB_DATA_DIR (${userDataDir(process.env)}).
Its settings are environment variables; .env.example in the package lists them all. Of a .env that has no
DEFIB_ setting, DATABASE_URL, REDIS_URL and HOST are not taken: they may be another program's.`,
    )
    .action(up);
}

async function up({ detach, only, envFile, printUnit }: Options): Promise<void> {
  readSettings(envFile);
  useUserDataDir();
  const dataDir = resolve(process.env['DEFIB_DATA_DIR'] ?? '');
  if (printUnit !== undefined) {
    const { text, advice } = unitFor(printUnit, { dataDir, path: process.env['PATH'] ?? '' });
    process.stdout.write(text);
    return note(advice);
  }
  if (detach) {
    const { url, pid, log, already } = await startDetached(dataDir);
    const told = already ? 'was up already' : 'is up';
    return note(
      `Defib ${told} on ${url} (process ${pid}).\n  Data   ${dataDir}\n  Log    ${log}\n"defib status" shows what goes on, "defib down" stops it.`,
    );
  }
  // Each is a program of its own, which runs when it is imported.
  await (only === undefined ? import('../main.ts') : PARTS[only]());
}
