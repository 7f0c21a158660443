import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { filesOf, put } from '../services/git/helpers.ts';
import { makeDirty, type Resumable, startResumable } from '../setup/resumable.ts';
import { type Answer, backends } from '../setup/service.ts';
import { until } from '../setup/until.ts';

const AGENT = join(import.meta.dirname, '..', 'setup', 'agent.ts');
const command = { type: 'command', command: [process.execPath, AGENT] };

/** The attempt of this number, once it has this status. */
const attempt = (flow: Resumable, rootId: string, number: number, status: string) =>
  until(`attempt ${number} is ${status}`, async () =>
    (await flow.session(rootId)).attempts.find(
      (each: Answer['body']) => each.attempt === number && each.status === status,
    ),
  );

/** As if the time until the next try had passed. */
const hurry = (flow: Resumable) =>
  sql`UPDATE sessions SET spawn_at = now() WHERE status = 'pending' AND spawn_error IS NOT NULL`.execute(
    flow.db(),
  );

/** Waits until the successor is flagged after three tries; then as if half an hour of them had passed. */
async function gaveUp(flow: Resumable, rootId: string): Promise<Answer['body']> {
  const flagged = await until('a person is told', async () => {
    await hurry(flow);
    const [, successor] = (await flow.session(rootId)).attempts;
    return successor?.needsAttention && successor;
  });
  expect(flagged).toMatchObject({ status: 'pending', waitingFor: 'back-off' });
  expect(await flow.runs('resume', flagged.id)).toHaveLength(3);
  await sql`UPDATE sessions SET spawn_tries = 12 WHERE id = ${flagged.id}`.execute(flow.db());
  await hurry(flow);
  return await attempt(flow, rootId, 2, 'failed');
}

const pids: number[] = [];
const pidIn = async (worktree: string) => {
  const file = join(worktree, 'agent.pid');
  const pid = Number(
    await until('it has begun', () => existsSync(file) && readFileSync(file, 'utf8')),
  );
  pids.push(pid);
  return pid;
};
afterEach(() => {
  for (const pid of pids.splice(0)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
});

describe.each(backends)('agents started by command, on %s', (backend) => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable(backend, { DEFIB_SPAWN_LIMIT: '1' });
  });
  afterAll(() => flow.stop());

  it('go on where a killed one stopped, and end the work', async () => {
    await flow.policy({ spawner: command });
    const { worktree } = flow.clone('killed');
    makeDirty(worktree);
    const first = await flow.start({ worktree });
    await first.post('checkpoints', { trigger: 'turn', reasoning: { approach: 'plan A' } });
    await flow.expire(first.id);
    const second = await attempt(flow, first.id, 2, 'running');
    const pid = await pidIn(second.worktree);
    put(second.worktree, 'progress.txt', 'half\n');
    process.kill(pid, 'SIGKILL');
    const third = await attempt(flow, first.id, 3, 'running');
    // What the last agent wrote is restored, too.
    const prompt = () => readFileSync(join(third.worktree, 'agent.md'), 'utf8');
    await until('it has begun', () => prompt().includes('# Continue: attempt 3'));
    await pidIn(third.worktree);
    expect(readFileSync(join(third.worktree, 'progress.txt'), 'utf8')).toBe('half\n');
    expect(readFileSync(join(third.worktree, 'a.txt'), 'utf8')).toBe('one\nstaged\nunstaged\n');
    expect(prompt()).toContain('plan A');
    expect(prompt()).toContain('Attempt 1 ended because it reached its time limit');
    writeFileSync(join(third.worktree, 'finish'), '');
    await attempt(flow, first.id, 3, 'completed');
    expect((await flow.session(first.id)).attempts).toHaveLength(3);
  });

  it('wait for a place on their host', async () => {
    await flow.policy({ spawner: command });
    const one = await flow.start({ worktree: flow.clone('one').worktree });
    const two = await flow.start({ worktree: flow.clone('two').worktree });
    await flow.expire(one.id);
    const runs = await attempt(flow, one.id, 2, 'running');
    await pidIn(runs.worktree);
    await flow.expire(two.id);
    const waits = await attempt(flow, two.id, 2, 'pending');
    const run = await flow.finished('resume', waits.id);
    expect(run.summary).toContain('waiting: host "here" has as many agents as it may have');
    expect(await flow.session(waits.id)).toMatchObject({ status: 'pending' });
    writeFileSync(join(runs.worktree, 'finish'), '');
    await attempt(flow, one.id, 2, 'completed');
    await sql`UPDATE sessions SET spawn_at = now() WHERE id = ${waits.id}`.execute(flow.db());
    const then = await attempt(flow, two.id, 2, 'running');
    await pidIn(then.worktree);
    writeFileSync(join(then.worktree, 'finish'), '');
    await attempt(flow, two.id, 2, 'completed');
  });
});

describe('an agent that does not come to life', () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres');
  });
  afterAll(() => flow.stop());

  const resumed = async (spawner: object, policy: object = {}) => {
    await flow.policy({ spawner, ...policy });
    const { worktree } = flow.clone(randomBytes(4).toString('hex'));
    const session = await flow.start({ worktree });
    await flow.expire(session.id);
    return session;
  };

  it('whose command does not exist is flagged, tried for long, and then given up', async () => {
    const session = await resumed({ type: 'command', command: ['/no/such'] });
    const failed = await gaveUp(flow, session.id);
    expect(failed).toMatchObject({
      endReason: 'spawn_failed',
      needsAttention: true,
      summary: expect.stringContaining('ended with code 127 before its first heartbeat'),
    });
    const listed = await flow.service.call('GET', '/api/sessions?needsAttention=true');
    expect(listed.body.items.map(({ id }: { id: string }) => id)).toContain(failed.id);
    const kept = await flow.service.call('GET', `/api/sessions/${session.id}/checkpoints`);
    expect(kept.body.items).toHaveLength(1);

    // Mended, it goes on where it was.
    await flow.policy({ spawner: command });
    const answer = await flow.service.call('POST', `/api/sessions/${failed.id}/resume`);
    expect(answer).toMatchObject({ status: 201, body: { attempt: 3, resumedFrom: failed.id } });
    const third = await attempt(flow, session.id, 3, 'running');
    await pidIn(third.worktree);
    expect(await flow.session(failed.id)).toMatchObject({ needsAttention: false });
    writeFileSync(join(third.worktree, 'finish'), '');
    await attempt(flow, session.id, 3, 'completed');
  });

  it('is started by the spawner that the policy gets while it waits', async () => {
    await flow.policy({});
    const { worktree } = flow.clone('waits');
    makeDirty(worktree);
    const first = await flow.start({ worktree });
    await flow.expire(first.id);
    const waits = await until('it waits', async () => {
      const [, next] = (await flow.session(first.id)).attempts;
      return next?.waitingFor === 'claim' && next;
    });
    await flow.policy({ spawner: command });
    const second = await attempt(flow, first.id, 2, 'running');
    expect(second.id).toBe(waits.id);
    await pidIn(second.worktree);
    expect(readFileSync(join(second.worktree, 'a.txt'), 'utf8')).toBe('one\nstaged\nunstaged\n');
    writeFileSync(join(second.worktree, 'finish'), '');
    await attempt(flow, first.id, 2, 'completed');
  });

  it('is tried at once when the policy is mended, and can be claimed when it has none', async () => {
    const session = await resumed({ type: 'command', command: ['/no/such'] });
    await until('it has failed once', async () => {
      const [, next] = (await flow.session(session.id)).attempts;
      return next?.waitingFor === 'back-off' && next;
    });
    await sql`UPDATE sessions SET spawn_at = now() + interval '1 day'
      WHERE status = 'pending' AND resumed_from = ${session.id}`.execute(flow.db());
    await flow.policy({});
    const claimed = await flow.claim({ host: 'here' });
    expect(claimed.session.resumedFrom).toBe(session.id);
    await claimed.post('finish', { outcome: 'completed' });
  });

  it('whose command fails at once is resumed within its budget', async () => {
    const session = await resumed({ type: 'command', command: ['false'] }, { resumeBudget: 1 });
    const failed = await attempt(flow, session.id, 2, 'interrupted');
    await until('it needs attention', async () => (await flow.session(failed.id)).needsAttention);
    expect((await flow.session(session.id)).attempts).toHaveLength(2);
  });
});

describe('agents started by webhook', () => {
  const secret = `whsec_${randomBytes(24).toString('base64')}`;
  let flow: Resumable;
  let server: Server;
  let url: string;
  let received: { headers: Record<string, unknown>; body: string }[];
  let answers: (number | string)[];
  beforeAll(async () => {
    flow = await startResumable('postgres', {
      DEFIB_WEBHOOK_SECRET: secret,
      DEFIB_WEBHOOK_ALLOW_PRIVATE: 'true',
    });
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += chunk));
      request.on('end', () => {
        received.push({ headers: request.headers, body });
        const answer = answers.shift() ?? 200;
        if (typeof answer === 'string') response.writeHead(302, { location: answer }).end();
        else response.writeHead(answer).end();
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/resume`;
    await flow.policy({ spawner: { type: 'webhook', url } });
  });
  afterAll(async () => {
    server.close();
    await flow.stop();
  });

  const expired = async () => {
    const { worktree } = flow.clone(randomBytes(4).toString('hex'));
    const session = await flow.start({ worktree });
    await flow.expire(session.id);
    return session;
  };

  it('get a signed request with all they need; a second one voids the first', async () => {
    received = [];
    answers = [500];
    const session = await expired();
    await until('it was asked twice', async () => {
      await hurry(flow);
      return received.length === 2;
    });
    const [first, second] = received.map(({ headers, body }) => {
      const id = String(headers['webhook-id']);
      const signed = `${id}.${String(headers['webhook-timestamp'])}.${body}`;
      const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
      const wanted = `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
      expect(headers['webhook-signature']).toBe(wanted);
      return { id, ...JSON.parse(body) };
    });
    expect(second).toMatchObject({
      type: 'session.resume',
      data: {
        session: { attempt: 2, status: 'starting', resumedFrom: session.id },
        continuation: expect.stringContaining('# Continue: attempt 2'),
      },
    });
    const { id } = second.data.session;
    const beat = (token: string) =>
      flow.service.call('POST', `/api/sessions/${id}/heartbeat`, { token });
    expect((await beat(first.data.token)).status).toBe(401);
    expect(await beat(second.data.token)).toMatchObject({
      status: 200,
      body: { status: 'running' },
    });
  });

  it('that redirects is not followed, and given up with the reason', async () => {
    received = [];
    answers = Array.from({ length: 3 }, () => 'http://169.254.169.254/latest/meta-data');
    const session = await expired();
    const failed = await gaveUp(flow, session.id);
    expect(received).toHaveLength(3);
    expect(failed).toMatchObject({
      endReason: 'spawn_failed',
      needsAttention: true,
      summary: expect.stringContaining('302, a redirect, which is not followed'),
    });
  });
});

describe('work that waits to be claimed', () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres');
  });
  afterAll(() => flow.stop());

  it('is claimed from another host, which is told how to get it', async () => {
    const { worktree } = flow.clone('claimed');
    makeDirty(worktree);
    const first = await flow.start({ worktree });
    await flow.expire(first.id);
    const second = await flow.claim({ host: 'there' });
    expect(second.session).toMatchObject({ host: 'there', worktree: null });
    expect(second.continuation).toContain('has **not** been put into a worktree');
    expect(second.continuation).toContain(`defib restore ${first.id}`);

    // It has no worktree to save, only thoughts: the files are those of the first attempt still.
    await second.post('checkpoints', { trigger: 'turn', reasoning: { nextStep: 'push on' } });
    await flow.expire(second.id);
    const third = await flow.claim({ host: 'here' });
    expect(third.continuation).toContain('push on');
    expect(third.session.worktree).not.toBeNull();
    expect(filesOf(third.session.worktree)).toEqual(filesOf(worktree));
    expect(third.continuation).toContain('checked byte for byte');
  });

  it('is saved while its agent is paused, and resumed afterwards', async () => {
    const { worktree } = flow.clone('paused');
    makeDirty(worktree);
    const first = await flow.start({ worktree });
    await flow.policy({}, true);
    await flow.expire(first.id);
    await flow.finished('checkpoint', first.id);
    expect(await flow.checkpoints(first.id)).toMatchObject([{ trigger: 'timed_out' }]);
    expect((await flow.session(first.id)).attempts).toHaveLength(1);
    await flow.policy({});
    const second = await flow.claim();
    expect(second.session.resumedFrom).toBe(first.id);
    expect(filesOf(second.session.worktree)).toEqual(filesOf(worktree));
  });

  it('of an interrupted session is saved first', async () => {
    const { worktree } = flow.clone('interrupted');
    makeDirty(worktree);
    const first = await flow.start({ worktree });
    expect((await first.post('interrupt', { reason: 'the host shuts down' })).status).toBe(200);
    const second = await flow.claim();
    expect(second.continuation).toContain('the host shuts down');
    expect(filesOf(second.session.worktree)).toEqual(filesOf(worktree));
    expect(await flow.checkpoints(first.id)).toMatchObject([{ trigger: 'interrupted' }]);
  });

  it('that is thoughts alone is resumed with them', async () => {
    const first = await flow.start();
    await first.post('checkpoints', { trigger: 'turn', reasoning: { remaining: ['the docs'] } });
    await first.post('interrupt', { reason: 'enough' });
    const second = await flow.claim();
    expect(second.continuation).toContain('the docs');
    expect(second.session.worktree).toBeNull();
  });
});
