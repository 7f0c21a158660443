import type { Db } from '../../db/connect.ts';
import type { Page, PageRequest } from '../../db/page.ts';
import { listTokens, revokeToken as revoke } from '../../db/queries/tokens.ts';
import { AppError } from '../../errors.ts';
import { type Actor, noteAct, SYSTEM } from '../audit/note.ts';
import { type TokenInfo, toTokenInfo } from './view.ts';

export async function listTokenInfos(db: Db, page: PageRequest): Promise<Page<TokenInfo>> {
  const { items, nextCursor } = await listTokens(db, page);
  return { items: items.map(toTokenInfo), nextCursor };
}

/** @throws AppError `not_found`. Revoking twice is harmless. */
export async function revokeToken(db: Db, id: string, actor: Actor = SYSTEM): Promise<void> {
  await db.transaction().execute(async (trx) => {
    if (!(await revoke(trx, id))) {
      throw new AppError('not_found', `There is no token ${id}. GET /api/tokens lists them.`);
    }
    await noteAct(trx, actor, { action: 'token.revoke', target: id });
  });
}
