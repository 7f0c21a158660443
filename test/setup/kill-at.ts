import { join } from 'node:path';
import { sql } from 'kysely';
import type { Db } from '../../src/db/connect.ts';
import { holdWrites } from './hold-writes.ts';
import { launch, startProcess } from './processes.ts';
import type { Resumable } from './resumable.ts';

export type Write = Parameters<typeof holdWrites>[1];

const DYING = join(import.meta.dirname, 'dying-git.ts');

/** As if the leases of all claims had passed. */
export const expireClaims = (db: Db) =>
  sql`UPDATE runs SET claim_expires_at = now() - interval '1 s'
    WHERE claim_expires_at IS NOT NULL`.execute(db);

/** Many are started, so what they compile is kept. */
const victimEnv = (flow: Resumable) => ({
  ...flow.workerEnv('here'),
  NODE_COMPILE_CACHE: join(flow.root, 'compiled'),
});

/** A worker stands still before this write, and is killed there. */
export async function killAtWrite(
  flow: Resumable,
  write: Write,
  act: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const hold = await holdWrites(flow.service.database.url, write);
  const victim = await startProcess('worker', victimEnv(flow));
  try {
    await act();
    await hold.holds();
    victim.send('SIGKILL');
    await victim.exited;
  } finally {
    await victim.kill();
    await hold.drop();
    await hold.release();
  }
  await expireClaims(flow.db());
}

/** A worker dies by SIGKILL when it has reached a stage of git's work, as in `capture:scanned`. */
export async function killAtStage(flow: Resumable, stage: string): Promise<void> {
  const victim = await launch('worker', {
    ...victimEnv(flow),
    NODE_OPTIONS: `--import=${DYING}`,
    DIE_AT: stage,
  });
  const timer = setTimeout(() => victim.send('SIGTERM'), PATIENCE_MS);
  const end = await victim.exited;
  clearTimeout(timer);
  await victim.kill();
  if (end !== 'SIGKILL') throw new Error(`no worker came to ${stage}: ${victim.output()}`);
  await expireClaims(flow.db());
}

const PATIENCE_MS = 20_000;
