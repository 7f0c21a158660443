import type { Transaction } from 'kysely';
import {
  deleteIssues,
  listUnseenIssues,
  markVanished,
  type UpstreamIssue,
  upsertIssues,
} from '../../db/queries/issues.ts';
import {
  finishSync,
  renameRepo,
  renewSyncLease,
  type SyncLease,
} from '../../db/queries/repo-sync.ts';
import { forgetProgress, noteProgress } from '../../db/queries/sync-progress.ts';
import type { Database } from '../../db/schema.ts';
import { ForgeError, issuesDisabled } from '../forge/error.ts';
import type { ForgeIssue, RepoName } from '../forge/forge.ts';
import { newId } from '../ids.ts';
import type { SyncDeps } from './settings.ts';

/** Someone else has the lease now; nothing more may be written. */
export class LeaseLost extends Error {}

/** How much one try has read. */
export type Tally = { pages: number };

/**
 * One whole sync of a leased repository. How far it came is stored with each page, and the next try
 * goes on there; the cursor moves only at the end.
 *
 * @throws ForgeError when upstream does not answer well, LeaseLost
 */
export async function runPass(
  deps: SyncDeps,
  lease: SyncLease,
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  let pass: Pass = { deps, lease, tally, signal, repo: lease };
  if (lease.full) pass = await lookUp(pass);
  if (lease.full && !pass.lease.progress) {
    await asHolder(deps, lease, (trx) => forgetProgress(trx, lease.repoId));
  }
  let cursor: Date | undefined;
  try {
    cursor = await list(pass);
  } catch (error) {
    if (!(error instanceof ForgeError) || !error.movedTo) throw error;
    await rename(deps, lease, { ...error.movedTo, upstreamId: null });
    cursor = await list({ ...pass, repo: error.movedTo });
  }
  if (!(await finishSync(deps.db, pass.lease, cursor ?? lease.cursor))) throw new LeaseLost();
}

type Pass = {
  deps: SyncDeps;
  lease: SyncLease;
  tally: Tally;
  signal: AbortSignal;
  /** The name under which the repository is asked for. */
  repo: RepoName;
};

/** Writes as the holder of the lease, or not at all. */
async function asHolder(
  deps: SyncDeps,
  lease: SyncLease,
  write: (trx: Transaction<Database>) => Promise<void>,
): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    if (!(await renewSyncLease(trx, lease, deps.settings.leaseSeconds))) throw new LeaseLost();
    await write(trx);
  });
}

/** Asks for the repository itself: is it still the same, and under which name? */
async function lookUp(pass: Pass): Promise<Pass> {
  const { deps, lease, signal } = pass;
  const now = await deps.forge.getRepo(lease, { signal });
  const replaced = lease.upstreamId !== null && lease.upstreamId !== now.upstreamId;
  if (replaced) {
    deps.log.warn(
      { repo: `${lease.owner}/${lease.name}` },
      'another repository has taken this name',
    );
    await asHolder(deps, lease, (trx) => deleteIssues(trx, lease.repoId));
  }
  await rename(deps, lease, now);
  if (!now.hasIssues) throw issuesDisabled();
  return { ...pass, repo: now, ...(replaced && { lease: { ...lease, progress: null } }) };
}

async function rename(
  deps: SyncDeps,
  lease: SyncLease,
  to: RepoName & { upstreamId: string | null },
): Promise<void> {
  await asHolder(deps, lease, async (trx) => {
    if (await renameRepo(trx, lease, to)) return;
    const text = `It is called ${to.owner}/${to.name} now, which is tracked already. Untrack the old name.`;
    throw new ForgeError('moved', text);
  });
}

/** Stores every page; returns the forge's clock at the first: up to then, all is known. */
async function list(pass: Pass): Promise<Date | undefined> {
  const { deps, lease, tally, signal, repo } = pass;
  const { repoId, full, progress } = lease;
  const seen: number[] = [];
  let cursor = progress?.cursor;
  const beganAt = progress?.beganAt ?? lease.startedAt;
  const options = { signal, from: progress?.at, ...sinceOf(deps, lease) };
  for await (const page of deps.forge.listIssues(repo, options)) {
    const { at, numbers, more } = page;
    const first = (cursor ??= page.servedAt);
    await asHolder(deps, lease, async (trx) => {
      await upsertIssues(trx, repoId, page.issues.map(toRow));
      if (more) await noteProgress(trx, repoId, { at, cursor: first, beganAt, full, numbers });
    });
    if (!more) seen.push(...numbers);
    tally.pages += 1;
  }
  if (full) await retireUnseen(deps, lease, repo, seen, signal);
  return cursor;
}

function sinceOf({ settings }: SyncDeps, { full, cursor }: SyncLease): { since?: Date } {
  if (full || !cursor) return {};
  return { since: new Date(cursor.getTime() - settings.overlapSeconds * 1000) };
}

const toRow = (issue: ForgeIssue): UpstreamIssue => ({ ...issue, id: newId() });

/**
 * Issues that the whole listing lacked were deleted or transferred, or slipped through while pages
 * shifted under it; so each is looked up before it counts as gone.
 */
async function retireUnseen(
  deps: SyncDeps,
  lease: SyncLease,
  repo: RepoName,
  seen: number[],
  signal: AbortSignal,
): Promise<void> {
  const { db, settings } = deps;
  const unseen = await listUnseenIssues(db, lease.repoId, seen, settings.vanishChecks);
  for (const number of unseen) {
    const issue = await findIssue(deps, repo, number, signal);
    await asHolder(deps, lease, async (trx) => {
      if (issue) await upsertIssues(trx, lease.repoId, [toRow(issue)]);
      else await markVanished(trx, lease.repoId, [number]);
    });
  }
}

async function findIssue(
  { forge }: SyncDeps,
  repo: RepoName,
  number: number,
  signal: AbortSignal,
): Promise<ForgeIssue | undefined> {
  try {
    return await forge.getIssue(repo, number, { signal });
  } catch (error) {
    if (error instanceof ForgeError && isGone(error)) return undefined;
    throw error;
  }
}

/** A moved issue went to another repository; a moved repository is another matter. */
const isGone = ({ kind, movedTo }: ForgeError) =>
  kind === 'not_found' || kind === 'gone' || (kind === 'moved' && !movedTo);
