import { adoptClaims, listAdoptable, listClaims, settleClaims } from '../../db/queries/claims.ts';
import { newId } from '../ids.ts';
import { claimForSessions } from './claim-sessions.ts';
import { type Decision, decide, isEmpty } from './decide.ts';
import { claimKeys } from './labels.ts';
import { releaseDecided } from './release.ts';
import type { ReconcileDeps } from './settings.ts';
import { writeLabels } from './write-labels.ts';

export type ReconcileReport = {
  warnings: string[];
  /** The pages of the issues whose claim or labels this pass changed; sorted. */
  touchedIssueUrls: string[];
  adopted: number;
  released: number;
  labelled: number;
};

/**
 * Brings an agent's claims and what is stored of the issues into line, and the labels upstream
 * after them. Deterministic, and cheap when nothing changed: it reads what the agent has claimed,
 * not what it could.
 *
 * @throws the reason of `signal`; failures of the forge are warnings
 */
export async function reconcileIssues(
  deps: ReconcileDeps,
  agent: { id: string; name: string },
  { signal }: { signal: AbortSignal },
): Promise<ReconcileReport> {
  const claims = await claimForSessions(deps.db, agent.id);
  const adoptedUrls = await adopt(deps, agent);
  const rules = { ...deps.settings, agentName: agent.name };
  const decisions = (await listClaims(deps.db, agent.id)).map((row) => decide(row, rules));
  signal.throwIfAborted();
  const released = await releaseDecided(deps.db, decisions);
  const standing = decisions.filter(({ row, release }) => !release || released.has(row.claimId));
  await settleClaims(
    deps.db,
    standing.flatMap(({ row, plan }) =>
      row.released && (!plan || isEmpty(plan)) ? [row.claimId] : [],
    ),
  );
  const labels = await writeLabels(
    deps,
    standing.filter(toWrite).map(({ row }) => row),
    signal,
  );
  const releasedUrls = standing.flatMap(({ row, release }) => (release ? [row.url] : []));
  const touched = new Set([
    ...claims.claimedUrls,
    ...adoptedUrls,
    ...releasedUrls,
    ...labels.writtenUrls,
  ]);
  return {
    warnings: [...claims.warnings, ...labels.warnings],
    touchedIssueUrls: [...touched].sort(),
    adopted: adoptedUrls.length,
    released: released.size,
    labelled: labels.writtenUrls.length,
  };
}

/** Takes up claims that were made by labels. Returns the issues' pages. */
async function adopt(
  { db, settings }: ReconcileDeps,
  agent: { id: string; name: string },
): Promise<string[]> {
  const labelKeys = claimKeys(settings.labels, agent.name);
  const found = await listAdoptable(db, { agentId: agent.id, labelKeys });
  const adopted = new Set(
    await adoptClaims(
      db,
      found.map(({ issueId }) => ({ id: newId(), issueId, agentId: agent.id })),
    ),
  );
  return found.flatMap(({ issueId, url }) => (adopted.has(issueId) ? [url] : []));
}

const toWrite = ({ plan }: Decision): boolean => plan !== undefined && !isEmpty(plan);
