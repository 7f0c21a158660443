import type { CheckpointRow } from '../../db/queries/checkpoints.ts';
import type { Durability, NotCaptured, Reasoning, Session } from '../../db/schema.ts';

/** A checkpoint as the API shows it. Times are ISO 8601, UTC. */
export type CheckpointView = {
  id: string;
  sessionId: string;
  number: number;
  trigger: string;
  turn: number | null;
  createdAt: string;
  head: string | null;
  commit: string | null;
  tree: string | null;
  branch: string;
  durability: Durability;
  filesChanged: number | null;
  reasoning: Reasoning | null;
  notCaptured: NotCaptured[];
  warnings: string[];
  late: boolean;
  /** Where the commits that its bundle builds on can be fetched from. */
  baseUrl: string | null;
  prunedAt: string | null;
};

export function toCheckpointView(row: CheckpointRow, session: Session): CheckpointView {
  return {
    id: row.id,
    sessionId: row.session_id,
    number: row.number,
    trigger: row.trigger,
    turn: row.turn,
    createdAt: row.created_at.toISOString(),
    head: row.head,
    commit: row.commit,
    tree: row.tree,
    branch: session.checkpoint_branch,
    durability: row.durability,
    filesChanged: row.files_changed,
    reasoning: row.reasoning,
    notCaptured: row.not_captured,
    warnings: row.warnings,
    late: row.late,
    baseUrl: row.base_url,
    prunedAt: row.pruned_at?.toISOString() ?? null,
  };
}
