import type { Db } from '../../db/connect.ts';
import type { Page, PageRequest } from '../../db/page.ts';
import { listTokens, revokeToken as revoke } from '../../db/queries/tokens.ts';
import { AppError } from '../../errors.ts';
import { type TokenInfo, toTokenInfo } from './view.ts';

export async function listTokenInfos(db: Db, page: PageRequest): Promise<Page<TokenInfo>> {
  const { items, nextCursor } = await listTokens(db, page);
  return { items: items.map(toTokenInfo), nextCursor };
}

/** @throws AppError `not_found`. Revoking twice is harmless. */
export async function revokeToken(db: Db, id: string): Promise<void> {
  if (!(await revoke(db, id))) {
    throw new AppError('not_found', `There is no token ${id}. GET /api/tokens lists them.`);
  }
}
