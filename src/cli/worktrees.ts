import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type Client, DefibError, type SessionWithAttempts, unwrap } from '../client/index.ts';
import { tryGit } from './bring/user-git.ts';
import { note, type OutputOptions, print, table, withJson } from './frame/output.ts';
import { dataDirs, openService } from './frame/service.ts';
import { worktreesFolder } from './run/places.ts';
import { hasWhatIsSaved } from './worktrees/unchanged.ts';

type Options = OutputOptions & { prune?: true };

export function define(command: Command): void {
  withJson(command)
    .description(
      'Lists the worktrees that resumed sessions got on this machine. With --prune those\n' +
        'are removed whose work is over and elsewhere: landed, brought home or dismissed, and not changed\n' +
        'since it was saved.',
    )
    .option('--prune', 'remove those that are of no use any more')
    .addHelpText(
      'after',
      `
Examples:
  defib worktrees
  defib worktrees --prune`,
    )
    .action(list);
}

type Found = {
  worktree: string;
  sessionId: string;
  status: string;
  /** Why it stays; null: it is of no use any more. */
  kept: string | null;
  removed: boolean;
};

async function list(options: Options): Promise<void> {
  const { client } = await openService();
  const found: Found[] = [];
  for (const { worktree, sessionId } of await onThisMachine()) {
    const session = await sessionOf(client, sessionId);
    const kept = await whyKept(session, worktree, client);
    const removed = kept === null && options.prune === true;
    if (removed) await remove(worktree);
    const status = session?.attempts.at(-1)?.status ?? 'unknown';
    found.push({ worktree, sessionId, status, kept, removed });
  }
  print(found, options, (all) =>
    all.length === 0
      ? 'There are none on this machine.'
      : table(
          ['SESSION', 'WORK IS', 'WORKTREE', 'STAYS'],
          all.map((one) => [
            one.sessionId,
            one.status,
            one.worktree,
            one.kept ?? (one.removed ? 'removed' : 'of no use: --prune removes it'),
          ]),
        ),
  );
  if (found.some(({ kept }) => kept?.startsWith('its result'))) {
    note('defib: "defib bring <session>" gets a result; "defib dismiss <session>" lets go of it.');
  }
}

/** One of the user's repository goes from that too; its branch stays. */
async function remove(worktree: string): Promise<void> {
  const linked = await lstat(join(worktree, '.git')).catch(() => null);
  if (linked?.isFile()) await tryGit(worktree, ['worktree', 'remove', '--force', worktree]);
  await rm(worktree, { recursive: true, force: true });
}

const SESSION = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\.|$)/;

/** Folders named after a session, as workers and supervisors make them. */
async function onThisMachine(): Promise<{ worktree: string; sessionId: string }[]> {
  const found: { worktree: string; sessionId: string }[] = [];
  const folders = dataDirs().map((dataDir) => join(dataDir, 'worktrees'));
  for (const folder of new Set([...folders, worktreesFolder(process.env)])) {
    for (const name of (await readdir(folder).catch(() => [])).sort()) {
      const sessionId = SESSION.exec(name)?.[1];
      if (sessionId !== undefined) found.push({ worktree: join(folder, name), sessionId });
    }
  }
  return found;
}

async function sessionOf(client: Client, id: string): Promise<SessionWithAttempts | undefined> {
  try {
    return await unwrap(client.GET('/api/sessions/{id}', { params: { path: { id } } }));
  } catch (error) {
    if (error instanceof DefibError && error.code === 'not_found') return undefined;
    throw error;
  }
}

/** The same rule as for what is stored, and nothing that is nowhere else. */
async function whyKept(
  session: SessionWithAttempts | undefined,
  worktree: string,
  client: Client,
): Promise<string | null> {
  if (!session) return 'the service does not know its session';
  const last = session.attempts.at(-1) ?? session;
  if (last.endedAt === null || last.waitingFor !== null) return 'its work goes on';
  if (last.status !== 'completed') return 'its work was not completed';
  if (last.result?.keptUntil) return `its result (${last.result.state}) is not home yet`;
  return (await hasWhatIsSaved(client, session, worktree))
    ? null
    : 'it was changed since it was saved';
}
