import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { follow } from '../../src/cli/logs/follow.ts';
import { createClient } from '../../src/client/index.ts';
import { newId } from '../../src/services/ids.ts';
import { operatorOf } from '../setup/defib.ts';
import { startService, type TestService } from '../setup/service.ts';

// Without a worker runs end when a test says so.
let service: TestService;
beforeAll(async () => {
  service = await startService('postgres', { worker: false });
});
afterAll(() => service.stop());

/** Ids of new runs of the agent, oldest first, which have ended. */
async function addEnded(agentName: string, count: number): Promise<string[]> {
  const { db } = service.started.deps;
  const agent = await db
    .selectFrom('agents')
    .select('id')
    .where('name', '=', agentName)
    .executeTakeFirstOrThrow();
  const ids = Array.from({ length: count }, () => newId());
  const now = new Date();
  await db
    .insertInto('runs')
    .values(
      ids.map((id) => ({
        id,
        agent_id: agent.id,
        agent_name: agentName,
        kind: 'heartbeat' as const,
        status: 'ok' as const,
        input: '{}',
        started_at: now,
        finished_at: now,
      })),
    )
    .execute();
  return ids;
}

const end = (id: string) =>
  service.started.deps.db
    .updateTable('runs')
    .set({ status: 'ok', started_at: new Date(), finished_at: new Date() })
    .where('id', '=', id)
    .execute();

async function accept(agentName: string): Promise<string> {
  const headers = { Prefer: 'respond-async' };
  const path = `/api/agents/${agentName}/heartbeat`;
  return (await service.call('POST', path, { headers })).body.runId;
}

async function followed(agentName: string, last = 10) {
  await service.agentToken(agentName);
  const { DEFIB_URL: url = '', DEFIB_TOKEN: token = '' } = operatorOf(service);
  const runs = follow(createClient({ url, token }), { agentName }, { last, tell: expect.fail });
  return {
    /** The next runs that it gives. */
    async take(count: number): Promise<string[]> {
      const ids: string[] = [];
      while (ids.length < count) ids.push((await runs.next()).value.id);
      return ids;
    },
  };
}

describe('follow', () => {
  it('gives every run of a burst that is longer than a page, once, the oldest first', async () => {
    const log = await followed('burst');
    const first = await addEnded('burst', 1);
    expect(await log.take(1)).toEqual(first);
    const many = await addEnded('burst', 450);
    expect(await log.take(450)).toEqual(many);
    const last = await addEnded('burst', 1);
    expect(await log.take(1)).toEqual(last);
  });

  it('gives a run that goes on while hundreds of others begin and end', async () => {
    const log = await followed('slow');
    const before = await addEnded('slow', 1);
    expect(await log.take(1)).toEqual(before);
    const slow = await accept('slow');
    const others = await addEnded('slow', 250);
    expect(await log.take(250)).toEqual(others);
    const more = await addEnded('slow', 250);
    expect(await log.take(250)).toEqual(more);
    await end(slow);
    expect(await log.take(1)).toEqual([slow]);
  });

  it('goes on when a run is deleted that had not ended', async () => {
    const log = await followed('deleted');
    const gone = await accept('deleted');
    const [first] = await addEnded('deleted', 1);
    expect(await log.take(1)).toEqual([first]);
    await service.started.deps.db.deleteFrom('runs').where('id', '=', gone).execute();
    const [next] = await addEnded('deleted', 1);
    expect(await log.take(1)).toEqual([next]);
  });
});
