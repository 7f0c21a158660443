import type { Db } from '../../db/connect.ts';
import { listAttempts } from '../../db/queries/sessions.ts';
import type { Session } from '../../db/schema.ts';
import { continuationPrompt } from './continuation-prompt.ts';

/** The prompt that a session goes on from: made from its chain, and from nothing else. */
export async function continuationOf(db: Db, session: Session): Promise<string> {
  const chain = await listAttempts(db, session.root_id);
  return continuationPrompt(chain.filter(({ attempt }) => attempt <= session.attempt));
}
