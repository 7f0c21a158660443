import type { Db } from '../../db/connect.ts';
import type { Page, PageRequest } from '../../db/page.ts';
import {
  clearRepoFailures,
  deleteRepo,
  findRepo,
  listRepos,
  type RepoName,
  upsertRepo,
} from '../../db/queries/repos.ts';
import type { Repo } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { type Actor, noteAct } from '../audit/note.ts';
import { newId } from '../ids.ts';

/** A tracked repository as the API shows it. */
export type RepoView = {
  owner: string;
  name: string;
  /** When its issues were last read; null: never. */
  syncedAt: string | null;
  /** Why the last sync failed, and when it is tried again; null: it succeeded. */
  failure: { kind: string; message: string; nextAttemptAt: string | null } | null;
  createdAt: string;
};

export function toRepoView(repo: Repo): RepoView {
  return {
    owner: repo.owner,
    name: repo.name,
    syncedAt: repo.synced_at?.toISOString() ?? null,
    failure: repo.failure_kind === null ? null : toFailure(repo, repo.failure_kind),
    createdAt: repo.created_at.toISOString(),
  };
}

const toFailure = (repo: Repo, kind: string) => ({
  kind,
  message: repo.failure_text ?? '',
  nextAttemptAt: repo.next_attempt_at?.toISOString() ?? null,
});

/** Tracks the repository. For one that is tracked, it lets the next heartbeat try again at once. */
export async function putRepo(db: Db, name: RepoName, actor: Actor): Promise<RepoView> {
  await db.transaction().execute(async (trx) => {
    const repo = await upsertRepo(trx, newId(), name);
    await clearRepoFailures(trx, repo.id);
    await noteAct(trx, actor, { action: 'repo.put', target: `${repo.owner}/${repo.name}` });
  });
  return await getRepo(db, name);
}

/** @throws AppError `not_found` */
export async function getRepo(db: Db, name: RepoName): Promise<RepoView> {
  const repo = await findRepo(db, name);
  if (!repo) throw notTracked(name);
  return toRepoView(repo);
}

export async function listRepoViews(db: Db, page: PageRequest): Promise<Page<RepoView>> {
  const { items, nextCursor } = await listRepos(db, page);
  return { items: items.map(toRepoView), nextCursor };
}

/** Forgets the repository, its issues and its claims. @throws AppError `not_found` */
export async function untrackRepo(db: Db, name: RepoName, actor: Actor): Promise<void> {
  await db.transaction().execute(async (trx) => {
    if (!(await deleteRepo(trx, name))) throw notTracked(name);
    await noteAct(trx, actor, { action: 'repo.delete', target: `${name.owner}/${name.name}` });
  });
}

function notTracked({ owner, name }: RepoName): AppError {
  return new AppError(
    'not_found',
    `${owner}/${name} is not tracked. PUT /api/repos/${owner}/${name} tracks it.`,
  );
}
