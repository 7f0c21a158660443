import { listEndingClaims } from '../../db/queries/claims.ts';
import { directSessions } from '../../db/queries/session-directives.ts';
import { claimForSessions } from './claim-sessions.ts';
import { decide } from './decide.ts';
import { releaseDecided } from './release.ts';
import type { ReconcileDeps } from './settings.ts';

const BATCH = 500;

/**
 * Does for every agent what nobody does for one that sends no heartbeats: it finished, is paused, or is
 * gone for good. Its claims end like any other's, and its sessions hear of closed issues. Any number
 * of sweeps may run at once. Returns how many claims it ended.
 */
export async function sweepClaims(deps: ReconcileDeps, signal: AbortSignal): Promise<number> {
  const { db, settings } = deps;
  let released = 0;
  let after: string | null = null;
  while (!signal.aborted) {
    const { graceSeconds } = settings;
    const rows = await listEndingClaims(db, { graceSeconds, after, limit: BATCH });
    const decisions = rows.map((row) => decide(row, { ...settings, agentName: row.agentName }));
    released += (await releaseDecided(db, decisions)).size;
    after = rows.at(-1)?.claimId ?? null;
    if (rows.length < BATCH) break;
  }
  await claimForSessions(db, null);
  await directSessions(db, null);
  // Labels that wait are written even where no heartbeat asks for them.
  if (deps.forge.canWrite) deps.writer.wake();
  return released;
}
