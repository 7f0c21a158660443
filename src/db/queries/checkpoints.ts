import { sql, type Transaction } from 'kysely';
import type { Db } from '../connect.ts';
import { type Page, type PageRequest, toPage } from '../page.ts';
import type { ChangeSummary, Checkpoint, Database, NotCaptured, Reasoning } from '../schema.ts';
import { chainIsLive, retention } from './session-prune.ts';

export type NewCheckpoint = {
  id: string;
  sessionId: string;
  runId: string;
  trigger: string;
  turn: number | null;
  reasoning: Reasoning | null;
  /** Null: no worktree was captured. */
  work: CapturedWork | null;
  warnings: string[];
  notCaptured: NotCaptured[];
  bundleId: string | null;
  /** The run that it was accepted with: its id says when. */
  acceptedBy: string;
  /** Days that it is kept where the work did not succeed and the agent's policy does not say. */
  retentionDays: number;
};

export type CapturedWork = {
  head: string | null;
  headBranch: string | null;
  commit: string;
  tree: string;
  operation: string | null;
  /** A remote was known to have HEAD. */
  onRemote: boolean | null;
  baseUrl: string | null;
  filesChanged: number;
  changes: ChangeSummary | null;
  diff: Buffer | null;
  /** The branch in the worktree's repository is at the commit. */
  local: boolean;
};

/** What the next capture must know of a checkpoint. */
export type LastCommit = Pick<
  CheckpointRow,
  'id' | 'run_id' | 'number' | 'commit' | 'durability' | 'not_captured'
>;

/** Everything but the patch, which may be long. */
const COLUMNS = [
  'id',
  'session_id',
  'number',
  'run_id',
  'trigger',
  'turn',
  'head',
  'head_branch',
  'commit',
  'tree',
  'operation',
  'on_remote',
  'base_url',
  'durability',
  'files_changed',
  'changes',
  'reasoning',
  'not_captured',
  'warnings',
  'bundle_id',
  'late',
  'created_at',
  'pruned_at',
] as const;

export type CheckpointRow = Omit<Checkpoint, 'diff'>;

/**
 * Records a checkpoint as the next one of its session; a run makes one at most. It becomes what the
 * session shows as its latest, and what its successor goes on from while that is still pending; with
 * a successor at work, or files that were accepted after it, it is marked `late` and changes neither.
 *
 * Undefined where the run had made its checkpoint before, or there is no such session.
 */
export async function insertCheckpoint(
  trx: Transaction<Database>,
  checkpoint: NewCheckpoint,
): Promise<CheckpointRow | undefined> {
  const { work } = checkpoint;
  // What was captured is on its machine alone until its bundle is stored.
  const durability = work && checkpoint.bundleId === null ? 'local' : 'stored';
  const session = await lockChainEnd(trx, checkpoint.sessionId);
  if (!session) return undefined;
  const late = session.late || (await isOvertaken(trx, checkpoint));
  const { rows } = await sql<{ id: string }>`
      INSERT INTO checkpoints
        (id, session_id, number, run_id, trigger, turn, reasoning, head, head_branch, commit, tree,
         operation, on_remote, base_url, files_changed, changes, diff, not_captured, warnings, bundle_id,
         durability, late)
      SELECT ${checkpoint.id}::uuid, ${checkpoint.sessionId}::uuid,
        coalesce(max(number), 0) + 1, ${checkpoint.runId}::uuid, ${checkpoint.trigger},
        ${checkpoint.turn}::int, ${json(checkpoint.reasoning)}::jsonb, ${work?.head ?? null},
        ${work?.headBranch ?? null}, ${work?.commit ?? null}, ${work?.tree ?? null},
        ${work?.operation ?? null}, ${work?.onRemote ?? null}::boolean, ${work?.baseUrl ?? null}, ${work?.filesChanged ?? null}::int,
        ${json(work?.changes ?? null)}::jsonb, ${work?.diff ?? null}::bytea,
        ${json(checkpoint.notCaptured)}::jsonb, ${json(checkpoint.warnings)}::jsonb,
        ${checkpoint.bundleId}::uuid, ${durability}, ${late}
      FROM checkpoints WHERE session_id = ${checkpoint.sessionId}
      ON CONFLICT (run_id) DO NOTHING
      RETURNING id`.execute(trx);
  if (rows.length === 0) return undefined;
  await sql`
      UPDATE sessions SET
        latest_checkpoint_id = CASE WHEN ${late} THEN latest_checkpoint_id
          ELSE ${checkpoint.id}::uuid END,
        turn = coalesce(greatest(turn, ${checkpoint.turn}::int), turn),
        local_commit = CASE WHEN ${work?.local ?? false} THEN ${work?.commit ?? null}
          ELSE local_commit END
      WHERE id = ${checkpoint.sessionId}`.execute(trx);
  await scheduleLatePrune(trx, checkpoint);
  // Its preparation begins anew, and so do its tries: this is no failure of theirs.
  await sql`
      UPDATE sessions SET
        latest_checkpoint_id = ${checkpoint.id}::uuid, ready_at = NULL, restored = NULL,
        spawn_tries = 1,
        spawn_at = CASE WHEN ready_at IS NULL THEN spawn_at ELSE now() END
      WHERE resumed_from = ${checkpoint.sessionId} AND status = 'pending'
        AND from_checkpoint_id IS NULL AND NOT ${late}::boolean`.execute(trx);
  return await findCheckpoint(trx, checkpoint.id);
}

/**
 * Locks a session against another checkpoint of it, and its successor against being started. Newest
 * first, as whoever ends a chain does. The second look finds a successor that was made meanwhile.
 */
async function lockChainEnd(db: Db, sessionId: string): Promise<{ late: boolean } | undefined> {
  const lockSuccessor = async () => {
    const { rows } = await sql<{ status: string }>`
      SELECT status FROM sessions WHERE resumed_from = ${sessionId} FOR UPDATE`.execute(db);
    return rows[0];
  };
  const before = await lockSuccessor();
  const { rows } = await sql`SELECT FROM sessions WHERE id = ${sessionId} FOR UPDATE`.execute(db);
  if (rows.length === 0) return undefined;
  const successor = before ?? (await lockSuccessor());
  return { late: successor !== undefined && successor.status !== 'pending' };
}

/**
 * Whether one that was accepted later is recorded already: this one was given up, or done by another
 * worker. What is captured when it is recorded is never old; an upload and what was said may be.
 */
async function isOvertaken(db: Db, checkpoint: NewCheckpoint): Promise<boolean> {
  const isUpload = checkpoint.bundleId !== null;
  if (!isUpload && checkpoint.work) return false;
  const row = await db
    .selectFrom('checkpoints')
    .select('id')
    .where('session_id', '=', checkpoint.sessionId)
    .where('run_id', '>', checkpoint.acceptedBy)
    .where(isUpload ? 'commit' : 'reasoning', 'is not', null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** A checkpoint that comes when the work is done with has a time to go, too. */
async function scheduleLatePrune(db: Db, checkpoint: NewCheckpoint): Promise<void> {
  await sql`
    UPDATE sessions SET prune_at = CASE
      WHEN EXISTS (SELECT FROM sessions AS chain
        WHERE chain.root_id = sessions.root_id AND chain.status = 'completed') THEN now()
      ELSE coalesce(prune_at, now() + ${retention(checkpoint.retentionDays)}) END
    FROM agents
    WHERE sessions.id = ${checkpoint.sessionId} AND agents.id = sessions.agent_id
      AND NOT ${chainIsLive('sessions')}`.execute(db);
}

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

export async function findCheckpoint(db: Db, id: string): Promise<CheckpointRow | undefined> {
  return await db.selectFrom('checkpoints').select(COLUMNS).where('id', '=', id).executeTakeFirst();
}

export async function findCheckpointOfRun(
  db: Db,
  runId: string,
): Promise<CheckpointRow | undefined> {
  return await db
    .selectFrom('checkpoints')
    .select(COLUMNS)
    .where('run_id', '=', runId)
    .executeTakeFirst();
}

/** The session's newest checkpoint that has a commit: what the next capture builds on. */
export async function findLastCommit(db: Db, sessionId: string): Promise<LastCommit | undefined> {
  return await db
    .selectFrom('checkpoints')
    .select(['id', 'run_id', 'number', 'commit', 'durability', 'not_captured'])
    .where('session_id', '=', sessionId)
    .where('commit', 'is not', null)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/**
 * What the session's newest checkpoint with a commit saved, for one that has only new reasoning: it
 * must not hide the files.
 */
export async function findLastWork(db: Db, sessionId: string): Promise<CapturedWork | undefined> {
  const row = await db
    .selectFrom('checkpoints')
    .select(['head', 'head_branch', 'commit', 'tree', 'operation', 'on_remote', 'base_url'])
    .select(['files_changed', 'changes', 'diff'])
    .where('session_id', '=', sessionId)
    .where('commit', 'is not', null)
    .orderBy('late')
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (!row?.commit || row.tree === null) return undefined;
  return {
    head: row.head,
    headBranch: row.head_branch,
    commit: row.commit,
    tree: row.tree,
    operation: row.operation,
    onRemote: row.on_remote,
    baseUrl: row.base_url,
    filesChanged: row.files_changed ?? 0,
    changes: row.changes,
    diff: row.diff,
    local: false,
  };
}

/** Oldest first. The cursor is the id of the last one of the page before. */
export async function listCheckpoints(
  db: Db,
  sessionId: string,
  { limit, cursor }: PageRequest,
): Promise<Page<CheckpointRow>> {
  let query = db.selectFrom('checkpoints').select(COLUMNS).where('session_id', '=', sessionId);
  if (cursor) query = query.where('id', '>', cursor);
  return toPage(
    await query
      .orderBy('id')
      .limit(limit + 1)
      .execute(),
    limit,
  );
}

/**
 * The newest checkpoint with files that this one goes on from: itself, or one before it in its chain.
 * An attempt without a worktree saves reasoning alone, and so does one whose worktree is gone.
 */
export async function findWork(db: Db, upTo: CheckpointRow): Promise<CheckpointRow | undefined> {
  if (upTo.commit !== null) return upTo;
  return await db
    .selectFrom('checkpoints')
    .innerJoin('sessions', 'sessions.id', 'checkpoints.session_id')
    .select(COLUMNS.map((column) => `checkpoints.${column}` as const))
    .where('sessions.root_id', '=', (eb) =>
      eb.selectFrom('sessions').select('root_id').where('id', '=', upTo.session_id),
    )
    .where('checkpoints.commit', 'is not', null)
    .where('checkpoints.late', '=', false)
    .where('checkpoints.id', '<', upTo.id)
    .orderBy('sessions.attempt', 'desc')
    .orderBy('checkpoints.number', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** The newest reasoning of a chain that was saved before, or with, this checkpoint. */
export async function findReasoning(
  db: Db,
  options: { rootId: string; upTo: CheckpointRow },
): Promise<Reasoning | null> {
  const row = await db
    .selectFrom('checkpoints')
    .innerJoin('sessions', 'sessions.id', 'checkpoints.session_id')
    .select('checkpoints.reasoning')
    .where('sessions.root_id', '=', options.rootId)
    .where('checkpoints.reasoning', 'is not', null)
    .where('checkpoints.id', '<=', options.upTo.id)
    .orderBy('checkpoints.id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.reasoning ?? null;
}

export async function findDiff(db: Db, id: string): Promise<Buffer | null> {
  const row = await db
    .selectFrom('checkpoints')
    .select('diff')
    .where('id', '=', id)
    .executeTakeFirst();
  return row?.diff ?? null;
}

/** Notes that the checkpoint's branch was acknowledged by a remote. */
export async function notePushed(
  db: Db,
  options: { id: string; sessionId: string; url: string; commit: string },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await trx
      .updateTable('checkpoints')
      .set({ durability: 'pushed' })
      .where('id', '=', options.id)
      .execute();
    await trx
      .updateTable('sessions')
      .set({ remote_url: options.url, remote_commit: options.commit })
      .where('id', '=', options.sessionId)
      .execute();
  });
}

/** Adds warnings that came up after the checkpoint was recorded. */
export async function addCheckpointWarnings(db: Db, id: string, warnings: string[]): Promise<void> {
  await db
    .updateTable('checkpoints')
    .set({ warnings: sql<string>`warnings || ${JSON.stringify(warnings)}::jsonb` })
    .where('id', '=', id)
    .execute();
}
