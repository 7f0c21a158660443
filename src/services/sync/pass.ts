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
import type { Database } from '../../db/schema.ts';
import { ForgeError, issuesDisabled } from '../forge/error.ts';
import type { ForgeIssue, RepoName } from '../forge/forge.ts';
import { newId } from '../ids.ts';
import type { SyncDeps } from './settings.ts';

/** Someone else has the lease now; nothing more may be written. */
export class LeaseLost extends Error {}

/**
 * One whole sync of a leased repository. The cursor moves only at its end, so a crash anywhere
 * only means that the next sync lists the same again.
 *
 * @throws ForgeError when upstream does not answer well, LeaseLost
 */
export async function runPass(
  deps: SyncDeps,
  lease: SyncLease,
  signal: AbortSignal,
): Promise<void> {
  const first = lease.full ? await lookUp(deps, lease, signal) : lease;
  let cursor: Date | undefined;
  try {
    cursor = await list(deps, lease, first, signal);
  } catch (error) {
    if (!(error instanceof ForgeError) || !error.movedTo) throw error;
    await rename(deps, lease, { ...error.movedTo, upstreamId: null });
    cursor = await list(deps, lease, error.movedTo, signal);
  }
  if (!(await finishSync(deps.db, lease, cursor ?? lease.cursor))) throw new LeaseLost();
}

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
async function lookUp(deps: SyncDeps, lease: SyncLease, signal: AbortSignal): Promise<RepoName> {
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
  return now;
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
async function list(
  deps: SyncDeps,
  lease: SyncLease,
  repo: RepoName,
  signal: AbortSignal,
): Promise<Date | undefined> {
  const seen: number[] = [];
  let servedAt: Date | undefined;
  for await (const page of deps.forge.listIssues(repo, { signal, ...sinceOf(deps, lease) })) {
    servedAt ??= page.servedAt;
    for (const issue of page.issues) seen.push(issue.number);
    await asHolder(deps, lease, async (trx) => {
      await upsertIssues(trx, lease.repoId, page.issues.map(toRow));
    });
  }
  if (lease.full) await retireUnseen(deps, lease, repo, seen, signal);
  return servedAt;
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
