import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, startService, type TestService } from '../setup/service.ts';

let service: TestService;
let agent: string;

// Without a worker nothing moves but by the verbs.
beforeAll(async () => {
  service = await startService('postgres', { worker: false });
  agent = await service.agentToken('builder');
});
afterAll(() => service.stop());

const db = () => service.started.deps.db;
const start = async (body: object = {}) => {
  const answer = await service.call('POST', '/api/agents/builder/sessions', {
    token: agent,
    body: { objective: 'fix the build', ...body },
  });
  expect(answer.status).toBe(201);
  return { id: answer.body.session.id as string, token: answer.body.token as string };
};
const verb = (id: string, name: string, body?: object, token?: string): Promise<Answer> =>
  service.call('POST', `/api/sessions/${id}/${name}`, {
    ...(body && { body }),
    ...(token !== undefined && { token }),
  });
const session = async (id: string) => (await service.call('GET', `/api/sessions/${id}`)).body;

/** What makes a session that was just started one that is in this state. */
const STATES = {
  starting: '',
  running: `status = 'running', start_deadline_at = NULL`,
  'pending, to be claimed': `status = 'pending', ready_at = now(), start_deadline_at = NULL`,
  'pending, in back-off': `status = 'pending', spawn_error = 'x', spawn_at = now() + interval '1 minute'`,
  'timed out, to be resumed': `status = 'timed_out', end_reason = 'lease_expired', ended_at = now(), resume_at = now()`,
  'its budget spent': `status = 'interrupted', end_reason = 'x', ended_at = now(), needs_attention = true, attempt = 4`,
  'never started': `status = 'failed', end_reason = 'spawn_failed', ended_at = now(), needs_attention = true`,
  'its restore refused': `status = 'failed', end_reason = 'restore_refused', ended_at = now(), needs_attention = true`,
  failed: `status = 'failed', end_reason = 'failed', ended_at = now()`,
  cancelled: `status = 'cancelled', end_reason = 'cancelled', ended_at = now()`,
  completed: `status = 'completed', end_reason = 'completed', ended_at = now()`,
} as const;
type State = keyof typeof STATES;

async function inState(state: State): Promise<{ id: string; token: string }> {
  const one = await start();
  const changes = STATES[state];
  if (changes)
    await sql`UPDATE sessions SET ${sql.raw(changes)} WHERE id = ${one.id}`.execute(db());
  return one;
}

const VERBS = {
  resume: (id: string) => verb(id, 'resume'),
  cancel: (id: string) => verb(id, 'cancel', { reason: 'enough' }),
  dismiss: (id: string) => verb(id, 'dismiss'),
  interrupt: (id: string) => verb(id, 'interrupt', { reason: 'lunch' }),
} as const;
const told = ({ status, body }: Answer) => (body.code ? `${status} ${body.code}` : String(status));

/** What each verb answers in each state, in the order of {@link VERBS}. */
const TABLE: [State, string, string, string, string][] = [
  ['starting', '409 conflict', '200', '409 conflict', '200'],
  ['running', '409 conflict', '200', '409 conflict', '200'],
  ['pending, to be claimed', '409 conflict', '200', '409 conflict', '200'],
  ['pending, in back-off', '409 conflict', '200', '409 conflict', '200'],
  ['timed out, to be resumed', '201', '200', '409 conflict', '409 session_ended'],
  ['its budget spent', '201', '409 session_ended', '200', '409 session_ended'],
  ['never started', '201', '409 session_ended', '200', '409 session_ended'],
  ['its restore refused', '201', '409 session_ended', '200', '409 session_ended'],
  ['failed', '201', '409 session_ended', '200', '409 session_ended'],
  ['cancelled', '201', '200', '200', '409 session_ended'],
  ['completed', '409 conflict', '409 session_ended', '200', '409 session_ended'],
];

describe('a session that is', () => {
  it.each(TABLE)('%s answers resume, cancel, dismiss, interrupt', async (state, ...wanted) => {
    for (const [n, [name, call]] of Object.entries(VERBS).entries()) {
      const { id } = await inState(state);
      const answer = await call(id);
      expect(told(answer), `${name}: ${answer.text}`).toBe(wanted[n]);
      // Whoever is refused is told of a verb that helps, unless nothing is left to be moved.
      if (answer.status === 409 && !['completed', 'failed', 'cancelled'].includes(state)) {
        expect(answer.body.detail, name).toMatch(/resume|cancel|interrupt|dismiss|claim|Stop now/);
      }
    }
  });

  it('superseded names the newest attempt to every verb, and what moves that on', async () => {
    const { id } = await inState('its budget spent');
    const next = (await verb(id, 'resume')).body;
    for (const name of ['resume', 'cancel'] as const) {
      const refused = await VERBS[name](id);
      expect(refused.body).toMatchObject({ code: 'session_superseded', successorId: next.id });
      expect(refused.body.detail).toContain(`/api/sessions/${next.id}/cancel`);
    }
    const last = (await verb((await verb(next.id, 'cancel')).body.id, 'resume')).body;
    expect((await VERBS.resume(id)).body).toMatchObject({ successorId: last.id });
    expect(await session(id)).toMatchObject({ needsAttention: false });
  });
});

describe('resume', () => {
  it('makes the next attempt, once, also of fifty callers', async () => {
    const { id } = await inState('timed out, to be resumed');
    const answers = await Promise.all(Array.from({ length: 50 }, () => verb(id, 'resume')));
    const made = answers.filter(({ status }) => status === 201);
    expect(made).toHaveLength(1);
    expect(made[0]!.body).toMatchObject({ status: 'pending', attempt: 2, resumedFrom: id });
    expect(new Set(answers.map(told))).toEqual(new Set(['201', '409 session_superseded']));
    expect((await session(id)).attempts).toHaveLength(2);
  });

  it('gives the work its budget anew, or as much as was asked for', async () => {
    const extra = async (body?: object) => {
      const { id } = await inState('its budget spent');
      const next = (await verb(id, 'resume', body)).body;
      const { rows } = await sql<{ extra_budget: number }>`
        SELECT extra_budget FROM sessions WHERE id = ${next.id}`.execute(db());
      return rows[0]?.extra_budget;
    };
    // Attempt 4 of a budget of 3 is resumed as attempt 5, and that as often as is left.
    expect(await extra()).toBe(4);
    expect(await extra({ extraBudget: 0 })).toBe(1);
    expect(await extra({ extraBudget: 2 })).toBe(3);
  });

  it('goes on from the checkpoint that was chosen, and refuses one that is not there', async () => {
    const { id } = await inState('failed');
    const checkpoints = [1, 2].map((number) => ({
      id: `01920000-0000-7000-8000-00000000000${number}`,
      number,
    }));
    for (const each of checkpoints) {
      await sql`INSERT INTO checkpoints (id, session_id, number, run_id, trigger, durability)
        VALUES (${each.id}, ${id}, ${each.number}, ${each.id}, 'turn', 'stored')`.execute(db());
    }
    await sql`UPDATE sessions SET latest_checkpoint_id = ${checkpoints[1]!.id}
      WHERE id = ${id}`.execute(db());
    const none = await verb(id, 'resume', { checkpoint: 7 });
    expect(none).toMatchObject({ status: 422, body: { errors: [{ path: 'checkpoint' }] } });
    const next = (await verb(id, 'resume', { checkpoint: 1 })).body;
    expect(next.latestCheckpointId).toBe(checkpoints[0]!.id);
    expect(await verb(id, 'resume', { colour: 'red' })).toMatchObject({ status: 422 });
  });

  it('leaves all as it was where the issue is worked on by another session', async () => {
    const issueUrl = 'https://github.com/acme/app/issues/7';
    const first = await start({ issueUrl });
    await verb(first.id, 'interrupt', { reason: 'x' });
    const second = await start({ issueUrl });
    const refused = await verb(first.id, 'resume');
    expect(refused).toMatchObject({ status: 409, body: { code: 'issue_claimed' } });
    expect(refused.body.detail).toContain(second.id);
    expect((await session(first.id)).waitingFor).toBe('another session of its issue');
  });
});

describe('what is done by a verb', () => {
  it('is in the audit, by whom', async () => {
    const { id } = await inState('timed out, to be resumed');
    const next = (await verb(id, 'resume', {}, agent)).body;
    await verb(next.id, 'cancel', { reason: 'enough' });
    await verb(next.id, 'cancel');
    await verb(id, 'dismiss');
    const { items } = (await service.call('GET', '/api/audit?limit=3')).body;
    expect(items).toMatchObject([
      { action: 'session.dismiss', target: id, actor: { scope: 'operator' } },
      { action: 'session.cancel', target: next.id, details: { reason: 'enough' } },
      {
        action: 'session.resume',
        target: id,
        actor: { scope: 'agent', agentName: 'builder' },
        details: { next: next.id },
      },
    ]);
  });

  it('ends what lived: its process is refused, and no attempt comes after it', async () => {
    const { id, token } = await inState('running');
    const cancelled = await verb(id, 'cancel', { reason: 'not needed any more' });
    expect(cancelled.body).toMatchObject({
      status: 'cancelled',
      cause: 'cancelled',
      summary: 'not needed any more',
      waitingFor: null,
    });
    expect(told(await verb(id, 'heartbeat', {}, token))).toBe('409 session_ended');
    expect((await session(id)).attempts).toHaveLength(1);
  });
});

describe('what a session waits for', () => {
  it.each([
    ['pending, to be claimed', 'claim', null],
    ['pending, in back-off', 'a worker', expect.any(String)],
    ['timed out, to be resumed', 'back-off', expect.any(String)],
    ['running', null, null],
    ['its budget spent', null, null],
  ] as const)('is shown where it is %s', async (state, waitingFor, waitingUntil) => {
    const { id } = await inState(state);
    expect(await session(id)).toMatchObject({ waitingFor, waitingUntil });
    if (state !== 'pending, to be claimed') return;
    await service.call('PUT', '/api/agents/builder', { body: { paused: true } });
    expect(await session(id)).toMatchObject({ waitingFor: 'agent paused' });
    await service.call('PUT', '/api/agents/builder', { body: { paused: false } });
  });
});

describe('a policy that is changed', () => {
  const policy = (value: object) =>
    service.call('PUT', '/api/agents/builder', { body: { policy: value } });

  it('lets what was flagged go on where its budget has room by now', async () => {
    const { id } = await inState('its budget spent');
    const dismissed = await inState('its budget spent');
    await verb(dismissed.id, 'dismiss');
    await policy({ resumeBudget: 3 });
    expect(await session(id)).toMatchObject({ needsAttention: true, waitingFor: null });
    await policy({ resumeBudget: 4 });
    expect(await session(id)).toMatchObject({ needsAttention: false, waitingFor: 'back-off' });
    expect(await session(dismissed.id)).toMatchObject({ waitingFor: null });
    await policy({});
  });

  it('says how what waits gets its agent, from then on', async () => {
    const { id } = await inState('pending, to be claimed');
    await sql`UPDATE sessions SET status = 'failed', ended_at = now()
      WHERE status = 'pending' AND id <> ${id}`.execute(db());
    await policy({ spawner: { type: 'command', command: ['true'] } });
    expect(await session(id)).not.toMatchObject({ waitingFor: 'claim' });
    const claim = () => service.call('POST', '/api/agents/builder/claim', { token: agent });
    expect((await claim()).status).toBe(204);
    await policy({});
    await sql`UPDATE sessions SET ready_at = now() WHERE id = ${id}`.execute(db());
    expect((await claim()).body.session.id).toBe(id);
  });
});
