import type { Db } from '../../db/connect.ts';
import { countUnclaimed, listHostStates, listSpawnerPrograms } from '../../db/queries/status.ts';
import { findProgram } from '../../program.ts';
import { plural } from '../plural.ts';

/** Whoever claims by itself asks far more often than this. */
const UNCLAIMED_SECONDS = 300;
const MAX_COUNTED = 1000;

/**
 * What keeps work from going on although this process is well, told without names: whoever asks has shown no token.
 *
 * @param starts whether agents are started by this process, from its PATH
 */
export async function readWarnings(db: Db, { starts }: { starts: boolean }): Promise<string[]> {
  const [hosts, unclaimed, missing] = await Promise.all([
    listHostStates(db),
    countUnclaimed(db, { olderThanSeconds: UNCLAIMED_SECONDS, upTo: MAX_COUNTED }),
    starts ? countMissingPrograms(db) : 0,
  ]);
  const warnings: string[] = [];
  if (!hosts.some(({ live }) => live)) {
    warnings.push('No worker is alive: what is accepted waits. Start one, by "defib up".');
  }
  if (unclaimed > 0) {
    const wait = `${plural(unclaimed, 'session')} wait to be taken up, and nobody does`;
    warnings.push(`${wait}: "defib status" shows which, "defib resume" takes one up.`);
  }
  if (missing > 0) {
    warnings.push(
      `${plural(missing, 'program')} that agents are started by cannot be found on this host: "defib doctor" says which.`,
    );
  }
  return warnings;
}

async function countMissingPrograms(db: Db): Promise<number> {
  const programs = await listSpawnerPrograms(db);
  const found = await Promise.all(programs.map((program) => findProgram(program)));
  return found.filter((state) => state !== 'found').length;
}
