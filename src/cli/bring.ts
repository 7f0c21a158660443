import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import {
  type Checkpoint,
  type Client,
  DefibError,
  type Session,
  type SessionWithAttempts,
  unwrap,
} from '../client/index.ts';
import { restore } from '../services/git/restore/restore.ts';
import { putOnBranch } from './bring/branch.ts';
import { hasCommit, type Home, isAncestor, readHome, requireSame } from './bring/home.ts';
import { leftBy, withChangesAside } from './bring/left.ts';
import { hasFiles, putInPlace } from './bring/put.ts';
import { commitWork, readWork, type Work } from './bring/work.ts';
import { CliError } from './frame/errors.ts';
import { note, type OutputOptions, print, withJson } from './frame/output.ts';
import { printable } from './frame/printable.ts';
import { openService } from './frame/service.ts';
import { ownBranch } from './frame/short-id.ts';
import { restoreInto, withTemporary } from './restore/into.ts';
import { newestWork } from './restore/saved.ts';
import { OWN_MACHINE, worktreeOf } from './run/worktree.ts';

type Options = OutputOptions & { into?: string };

export function define(command: Command): void {
  withJson(command)
    .description(
      'Brings the result of a session into the repository that it came from: moves the branch forward\n' +
        'that is checked out here, with what was uncommitted in the worktree, where nothing was changed\n' +
        'here since; else onto a branch of its own, defib/<id>. Nothing that is here is overwritten.',
    )
    .argument('<session>', 'id of a session that has ended, or of any attempt at its work')
    .option('--into <folder>', 'the repository (default: the one that it is called in)')
    .addHelpText(
      'after',
      `
Examples:
  defib bring $SESSION
  defib bring $SESSION --into ~/src/app

What it says is true when it is called a second time. A finished result is then kept by the service no
longer; "defib restore" makes a folder of its own instead, as often as it is kept.`,
    )
    .action(bring);
}

/** What was done; `how` is `nothing` where all of it is here already. */
type Brought = {
  how: 'nothing' | 'forward' | 'branch';
  into: string;
  branch: string | null;
  head: string;
  filesChanged: number;
  /** Why it is on a branch of its own. */
  why: string | null;
  /** The attempt whose leavings were put aside in git's stash for it. */
  asideOf: number | null;
};

async function bring(id: string, options: Options): Promise<void> {
  const { client } = await openService();
  const asked = await unwrap(client.GET('/api/sessions/{id}', { params: { path: { id } } }));
  const session = newest(asked);
  const into = worktreeOf(resolve(options.into ?? '.'), process.env);
  if (into === null) {
    throw new CliError(
      'no_repository',
      `${resolve(options.into ?? '.')} is in no git repository.`,
      'Call it in the repository that the work came from, or name that with --into.',
    );
  }
  const checkpoint = await newestWork(client, session);
  const brought = await withTemporary(async (scratch) => {
    const folder = join(scratch, 'work');
    await restoreHere(client, session, { checkpoint, folder, into });
    const work = await readWork(folder, checkpoint.commit ?? '');
    return await bringWork(client, await readHome(into), work, { session, checkpoint });
  });
  for (const { path, reason } of checkpoint.notCaptured) {
    note(`defib: not saved: ${printable(`${path} (${reason})`)}`);
  }
  await confirm(client, session);
  print(brought, options, describe);
}

/** @throws CliError `conflict`: it is still worked on */
function newest(asked: SessionWithAttempts): SessionWithAttempts {
  const last = asked.attempts.at(-1) ?? asked;
  if (last.endedAt === null || last.waitingFor !== null) {
    throw new CliError(
      'conflict',
      `Attempt ${last.attempt}, session ${last.id}, is ${last.status} and not the last word on this work.`,
      `"defib stop ${last.id} --no-resume" ends it; "defib restore ${last.id}" gets what is saved so far.`,
    );
  }
  // One that completed late may have a successor that was called off.
  const done = asked.attempts.find(({ status }) => status === 'completed');
  return { ...asked, ...(done ?? last) };
}

/** From the bundle, on the commits that the repository has, or else its remote. */
async function restoreHere(
  client: Client,
  session: Session,
  { checkpoint, folder, into }: { checkpoint: Checkpoint; folder: string; into: string },
): Promise<void> {
  try {
    await restoreInto(client, checkpoint, folder, { base: into }).catch((error: unknown) => {
      if (!(error instanceof CliError) || error.code !== 'no_base') throw error;
      return restoreInto(client, checkpoint, folder, {});
    });
  } catch (error) {
    if (!(error instanceof DefibError) || error.code !== 'not_found') throw error;
    const commit = checkpoint.commit ?? '';
    if (await hasCommit(into, commit)) return await restoreFromBranch(into, commit, folder);
    const { result } = session;
    throw new CliError(
      'not_found',
      result?.state === 'landed'
        ? `The result of session ${session.id} is on a remote already, at ${result.head?.slice(0, 12)}, so it is not kept.`
        : `What session ${session.id} saved is kept no more: ${error.message}`,
      result?.worktree
        ? `It was made in ${result.worktree}, on ${result.host ?? 'this host'}.`
        : undefined,
    );
  }
}

/** What was never stored may be in a branch of the repository itself. */
async function restoreFromBranch(worktree: string, commit: string, target: string): Promise<void> {
  await restore({ target, commit, from: { worktree }, policy: OWN_MACHINE });
}

async function bringWork(
  client: Client,
  home: Home,
  work: Work,
  { session, checkpoint }: { session: SessionWithAttempts; checkpoint: Checkpoint },
): Promise<Brought> {
  await requireSame(home, work);
  const { folder: into, branch: current } = home;
  const { head, changed } = work;
  const done = { into, head, filesChanged: changed.length, why: null, asideOf: null };
  if (await isHere(home, work)) return { ...done, how: 'nothing', branch: current };
  // Where an attempt has worked here and nothing was touched since, nothing of the user's is in the way.
  const plain = home.isClean || home.special !== null || work.special !== null;
  const asideOf = plain ? null : await leftBy(client, session, home);
  const put = () => putInPlace({ ...home, isClean: true }, work);
  const aside = `what attempt ${asideOf} of session ${session.id} left`;
  const why =
    asideOf === null ? await putInPlace(home, work) : await withChangesAside(home, aside, put);
  if (why === null) return { ...done, how: 'forward', branch: current, asideOf };
  const commit = await commitWork(work, {
    message: `Uncommitted work of session ${session.id}\n\n${session.objective}`,
    at: checkpoint.createdAt,
  });
  const name = ownBranch(session.id);
  const branch = await putOnBranch(home, work, { name, commit });
  return { ...done, how: 'branch', branch, head: commit, why };
}

async function isHere(home: Home, work: Work): Promise<boolean> {
  if (home.head === null) return false;
  if (work.changed.length > 0) return home.head === work.head && (await hasFiles(home, work));
  return await isAncestor(home.folder, work.head, home.head);
}

/** From then on the service need not keep the result; until it has heard so, it does. */
async function confirm(client: Client, { id, status }: Session): Promise<void> {
  if (status !== 'completed') return;
  try {
    const call = { params: { path: { id } }, body: { brought: true } };
    await unwrap(client.POST('/api/sessions/{id}/dismiss', call));
  } catch (error) {
    if (!(error instanceof DefibError)) throw error;
    note(`defib: The service was not told, and keeps the result: ${printable(error.message)}`);
  }
}

function describe({ how, into, branch, head, filesChanged, why, asideOf }: Brought): string {
  const at = head.slice(0, 12);
  const files = filesChanged > 0 ? ` with ${filesChanged} uncommitted paths` : '';
  if (how === 'nothing') return printable(`All of it is in ${into} already: ${at}${files}.`);
  if (how === 'forward') {
    const aside =
      asideOf === null ? '' : `\nWhat attempt ${asideOf} had left there is in git's stash.`;
    return printable(`${branch ?? 'HEAD'} in ${into} is at ${at} now${files}.${aside}`);
  }
  return printable(
    `It is on the branch ${branch} in ${into}, at ${at}: ${why}.\nTake it over with: git merge ${branch}`,
  );
}
