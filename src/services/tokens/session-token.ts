import type { Db } from '../../db/connect.ts';
import { insertToken, revokeSessionTokens } from '../../db/queries/tokens.ts';
import type { Session } from '../../db/schema.ts';
import { newId } from '../ids.ts';
import { hashToken, newTokenSecret } from './secret.ts';

/**
 * Issues the token of a session and voids those issued before: a process that was started twice
 * cannot act twice. Shown this once.
 */
export async function issueSessionToken(db: Db, session: Session): Promise<string> {
  const token = newTokenSecret('session');
  await revokeSessionTokens(db, session.id);
  await insertToken(db, {
    id: newId(),
    hash: hashToken(token),
    scope: 'session',
    agentId: session.agent_id,
    sessionId: session.id,
    expiresAt: null,
  });
  return token;
}
