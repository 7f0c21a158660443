import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insertBundle } from '../../src/db/queries/bundles.ts';
import { newId } from '../../src/services/ids.ts';
import { startService, type TestService } from '../setup/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService('postgres', {
    worker: false,
    env: { DEFIB_AGENT_STORAGE_MB: '1', DEFIB_AGENT_CHECKPOINTS: '5' },
  });
});
afterAll(() => service.stop());

async function start(agentName: string) {
  const { body } = await service.call('POST', `/api/agents/${agentName}/sessions`, {
    token: await service.agentToken(agentName),
    body: { objective: 'x' },
  });
  const id: string = body.session.id;
  const url = `/api/sessions/${id}/checkpoints`;
  const headers = { Prefer: 'respond-async' };
  return {
    id,
    save: (key?: string) =>
      service.call('POST', url, {
        token: body.token,
        headers: { ...headers, ...(key !== undefined && { 'Idempotency-Key': key }) },
        body: { trigger: 'x', reasoning: { nextStep: 'x' } },
      }),
    upload: async () => {
      const form = new FormData();
      form.set('meta', '{}');
      form.set('bundle', new Blob(['x']));
      const answer = await fetch(service.url + url, {
        method: 'POST',
        headers: { ...headers, Authorization: `Bearer ${body.token}` },
        body: form,
      });
      return { status: answer.status, text: await answer.text() };
    },
  };
}

const addCheckpoints = (sessionId: string, count: number, more = { late: false, pruned: false }) =>
  sql`
    INSERT INTO checkpoints (id, session_id, number, run_id, trigger, durability, late, pruned_at)
    SELECT uuidv7(), ${sessionId}::uuid, n, uuidv7(), 'x', 'local', ${more.late}::boolean,
      CASE WHEN ${more.pruned}::boolean THEN now() END
    FROM generate_series(1, ${count}::int) AS n`.execute(service.started.deps.db);

describe('what one agent keeps', () => {
  it('is limited in number, and what was pruned does not count', async () => {
    const [full, other] = [await start('full'), await start('other')];
    await addCheckpoints(full.id, 5);
    await addCheckpoints(other.id, 5, { late: false, pruned: true });
    const refused = await full.save();
    expect(refused).toMatchObject({ status: 413, body: { code: 'too_large' } });
    expect(refused.body.detail).toContain('DEFIB_AGENT_CHECKPOINTS');
    expect((await other.save()).status).toBe(202);
  });

  it('refuses no call that was accepted before, made once more', async () => {
    const full = await start('repeated');
    const accepted = await full.save('the-key');
    await addCheckpoints(full.id, 5);
    const again = await full.save('the-key');
    expect(again.status).toBe(202);
    expect(again.headers.get('Location')).toBe(accepted.headers.get('Location'));
    expect((await full.save('another-key')).status).toBe(413);
  });

  it('is limited in bytes: uploads are refused, what is said is still taken', async () => {
    const large = await start('large');
    const { db } = service.started.deps;
    const chunks = (async function* () {
      yield Buffer.alloc(1024 * 1024);
    })();
    await insertBundle(db, { id: newId(), sessionId: large.id, chunks, prerequisites: [] });
    const refused = await large.upload();
    expect(refused.status).toBe(413);
    expect(refused.text).toContain('DEFIB_AGENT_STORAGE_MB');
    expect((await large.save()).status).toBe(202);
    const empty = await (await start('empty')).upload();
    expect(empty.status, empty.text).toBe(422);
  });

  it('of a session that has ended is limited to some that come late', async () => {
    const over = await start('late');
    await service.started.deps.db
      .updateTable('sessions')
      .set({ status: 'failed', ended_at: new Date() })
      .where('id', '=', over.id)
      .execute();
    expect((await over.save()).status).toBe(202);
    await addCheckpoints(over.id, 20, { late: true, pruned: true });
    expect(await over.save()).toMatchObject({ status: 413, body: { code: 'too_large' } });
  });
});
