import type { Db } from '../../db/connect.ts';
import { findToken, insertToken, type TokenView } from '../../db/queries/tokens.ts';
import { AppError } from '../../errors.ts';
import { ensureAgent } from '../agents/put.ts';
import { type Actor, noteAct, SYSTEM } from '../audit/note.ts';
import { newId } from '../ids.ts';
import { hashToken, newTokenSecret } from './secret.ts';

export type IssueToken = {
  scope: 'operator' | 'agent';
  agentName?: string | undefined;
  expiresAt?: Date | undefined;
};

export type IssuedToken = {
  /** Shown this once; only its hash is kept. */
  token: string;
  view: TokenView;
};

/** Issues a token. For an agent that does not exist yet, it creates the agent too. */
export async function issueToken(
  db: Db,
  request: IssueToken,
  actor: Actor = SYSTEM,
): Promise<IssuedToken> {
  if (request.expiresAt && request.expiresAt.getTime() <= Date.now()) {
    throw invalid('expiresAt', 'must be in the future');
  }
  if (request.scope === 'agent' && !request.agentName) {
    throw invalid('agentName', 'is needed for a token of scope agent');
  }
  if (request.scope === 'operator' && request.agentName) {
    throw invalid('agentName', 'must be left out for a token of scope operator');
  }
  return await db.transaction().execute((trx) => insert(trx, request, actor));
}

async function insert(db: Db, request: IssueToken, actor: Actor): Promise<IssuedToken> {
  const agent = request.agentName ? await ensureAgent(db, request.agentName) : undefined;
  const token = newTokenSecret(request.scope);
  const id = newId();
  await insertToken(db, {
    id,
    hash: hashToken(token),
    scope: request.scope,
    agentId: agent?.id ?? null,
    sessionId: null,
    expiresAt: request.expiresAt ?? null,
  });
  const view = await findToken(db, id);
  if (!view) throw new AppError('conflict', 'The agent was deleted while its token was issued.');
  const { scope, agentName, expiresAt } = request;
  await noteAct(db, actor, {
    action: 'token.issue',
    target: id,
    details: { scope, agentName, expiresAt },
  });
  return { token, view };
}

function invalid(path: string, message: string): AppError {
  return new AppError('invalid', `${path} ${message}.`, { errors: [{ path, message }] });
}
