import type { Db } from '../../db/connect.ts';
import { insertAudit } from '../../db/queries/audit.ts';
import type { AuditActor } from '../../db/schema.ts';
import { newId } from '../ids.ts';

/** Who makes a change, and on which request. */
export type Actor = {
  scope: AuditActor;
  /** Null: the token of the environment, or none. */
  tokenId: string | null;
  agentName: string | null;
  address: string | null;
  requestId: string | null;
};

/** The service itself, as at its first start. */
export const SYSTEM: Actor = {
  scope: 'system',
  tokenId: null,
  agentName: null,
  address: null,
  requestId: null,
};

export type Act = {
  action:
    | 'agent.put'
    | 'repo.put'
    | 'repo.delete'
    | 'session.cancel'
    | 'session.dismiss'
    | 'session.interrupt'
    | 'session.resume'
    | 'sign_in.failed'
    | 'token.issue'
    | 'token.revoke';
  /** What it was done to: a name or an id. */
  target: string;
  details?: Record<string, unknown>;
};

/** Records a change. To be called in its transaction, so that there is neither without the other. */
export async function noteAct(db: Db, actor: Actor, act: Act): Promise<void> {
  await insertAudit(db, {
    id: newId(),
    actor: actor.scope,
    token_id: actor.tokenId,
    agent_name: actor.agentName,
    address: actor.address,
    request_id: actor.requestId,
    action: act.action,
    target: act.target,
    details: act.details ?? {},
  });
}
