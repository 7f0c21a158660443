import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Db, openDb, openPool } from '../../../src/db/connect.ts';
import { createAuthenticate } from '../../../src/services/tokens/authenticate.ts';
import { issueToken } from '../../../src/services/tokens/issue.ts';
import { revokeToken } from '../../../src/services/tokens/manage.ts';
import { createTokenUses } from '../../../src/services/tokens/uses.ts';
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts';

const CACHE_MS = 2000;

describe('createAuthenticate', () => {
  let database: TestDatabase;
  let db: Db;
  let time = 0;
  const open = () =>
    createAuthenticate({
      db,
      uses: createTokenUses(db),
      operatorToken: 'the operator token of the environment',
      cacheMs: CACHE_MS,
      now: () => time,
    });

  beforeAll(async () => {
    database = await createTestDatabase();
    db = openDb(
      openPool({ url: database.url, max: 2, applicationName: 'test', onError: () => undefined }),
    );
  });
  afterAll(async () => {
    await db.destroy();
    await database.drop();
  });

  const refusal = { code: 'unauthorized' };
  const agent = () => issueToken(db, { scope: 'agent', agentName: 'builder' });

  it('tells who a token stands for', async () => {
    const { token, view } = await agent();
    expect(await open()(token)).toEqual({
      tokenId: view.id,
      scope: 'agent',
      agentName: 'builder',
      sessionId: null,
    });
  });

  it('takes the token of the environment as an operator and nothing that is close to it', async () => {
    const authenticate = open();
    expect((await authenticate('the operator token of the environment')).scope).toBe('operator');
    await expect(authenticate('the operator token of the environmen')).rejects.toMatchObject(
      refusal,
    );
    await expect(authenticate('')).rejects.toMatchObject(refusal);
  });

  it('believes a revoked token for as long as the cache lasts and no longer', async () => {
    const authenticate = open();
    const { token, view } = await agent();
    await authenticate(token);
    await revokeToken(db, view.id);

    time += CACHE_MS - 1;
    await expect(authenticate(token)).resolves.toMatchObject({ tokenId: view.id });
    time += 1;
    await expect(authenticate(token)).rejects.toMatchObject(refusal);
  });

  it('does not remember a refusal', async () => {
    const authenticate = open();
    const { token, view } = await agent();
    const setRevoked = (at: Date | null) =>
      db.updateTable('tokens').set({ revoked_at: at }).where('id', '=', view.id).execute();
    await setRevoked(new Date());
    await expect(authenticate(token)).rejects.toMatchObject(refusal);
    await setRevoked(null);
    await expect(authenticate(token)).resolves.toMatchObject({ tokenId: view.id });
  });

  it('asks the database once for callers that come together', async () => {
    const authenticate = open();
    const { token } = await agent();
    const principals = await Promise.all(Array.from({ length: 20 }, () => authenticate(token)));
    expect(new Set(principals).size).toBe(1);
  });
});
