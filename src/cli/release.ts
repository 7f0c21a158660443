import type { Command } from 'commander';
import { readSettings, useUserDataDir } from './frame/settings.ts';

export function define(command: Command): void {
  command
    .description(
      'Migrates the database at DATABASE_URL, before "defib up --only web" and "--only worker" start,\n' +
        'and sees to it that an operator can get in. "defib up" alone does both by itself.',
    )
    .action(async () => {
      readSettings();
      useUserDataDir();
      await import('../release.ts');
    });
}
