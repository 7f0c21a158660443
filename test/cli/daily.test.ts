import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defib, operatorOf } from '../setup/defib.ts';
import { startService, type TestService } from '../setup/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService('postgres');
});
afterAll(() => service.stop());

/** Calls as the operator, and expects it to work. */
async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await defib(args, { env: operatorOf(service) });
  expect(stderr).not.toContain('defib:');
  expect(code).toBe(0);
  return stdout;
}

const json = async (...args: string[]) => JSON.parse(await run(...args, '--json'));

/** The rows of a table, cells split where columns are. */
const rows = (table: string) =>
  table
    .trim()
    .split('\n')
    .slice(1)
    .map((row) => row.split(/ {2,}/));

describe('defib token', () => {
  it('issues one, prints it alone on stdout, and it works', async () => {
    const token = (await run('token', 'issue', '--agent', 'builder')).trim();
    expect(token).toMatch(/^\S+$/);
    const beat = await service.call('POST', '/api/agents/builder/heartbeat', { token });
    expect(beat.status).toBe(200);
  });

  it('lists them without the tokens, and revokes', async () => {
    const issued = await json('token', 'issue', '--operator', '--expires', '2999-01-01');
    expect(issued).toMatchObject({ scope: 'operator', expiresAt: '2999-01-01T00:00:00.000Z' });
    await run('token', 'revoke', issued.id);
    const listed = await run('token', 'list');
    expect(listed).not.toContain(issued.token);
    const row = rows(listed).find(([id]) => id === issued.id);
    expect(row?.at(-1)).toMatch(/^revoked \d{4}-/);
    expect((await json('token', 'list', '--limit', '1')).items).toHaveLength(1);
  });
});

describe('defib agents', () => {
  it('creates one, changes what is given and nothing else', async () => {
    await run('agents', 'set', 'painter', '--repo', 'acme/app', '--repo', 'acme/lib');
    await run('agents', 'set', 'painter', '--policy', 'timeoutSeconds=60', '--pause');
    await run('agents', 'set', 'painter', '--policy', 'resumeBudget=1');
    expect(await json('agents', 'show', 'painter')).toMatchObject({
      repos: ['acme/app', 'acme/lib'],
      policy: { timeoutSeconds: 60, resumeBudget: 1 },
      paused: true,
    });
    await run('agents', 'set', 'painter', '--policy', 'timeoutSeconds=null', '--unpause');
    await run('agents', 'set', 'painter', '--clear-repos');
    expect(await json('agents', 'show', 'painter')).toMatchObject({
      repos: [],
      policy: { resumeBudget: 1 },
      paused: false,
    });
    expect(await run('agents', 'show', 'painter')).toMatch(/^policy +resumeBudget=1$/m);
    expect(rows(await run('agents', 'list'))).toContainEqual(
      expect.arrayContaining(['painter', 'active']),
    );
  });
});

describe('defib repos', () => {
  it('tracks, lists and untracks', async () => {
    await run('repos', 'track', 'acme/tool');
    expect(rows(await run('repos', 'list'))).toContainEqual([
      'acme/tool',
      '-',
      'read at the next heartbeat',
    ]);
    await run('repos', 'untrack', 'acme/tool');
    const { items } = await json('repos', 'list');
    expect(items.map(({ name }: { name: string }) => name)).not.toContain('tool');
  });
});

describe('defib sessions and defib show', () => {
  const started: string[] = [];
  beforeAll(async () => {
    await service.agentToken('roofer');
    for (const objective of ['mend the roof', 'paint\nthe \u001b[31mroof', 'sweep']) {
      const body = { objective, timeoutSeconds: 600 };
      const answer = await service.call('POST', '/api/agents/roofer/sessions', { body });
      started.push(answer.body.session.id);
    }
    const { db } = service.started.deps;
    await db
      .updateTable('sessions')
      .set({ needs_attention: true })
      .where('id', '=', started[2]!)
      .execute();
  });

  it('lists the newest first, over as many pages as it takes', async () => {
    const { items } = await json('sessions', '--agent', 'roofer', '--limit', '2');
    expect(items.map(({ id }: { id: string }) => id)).toEqual([started[2], started[1]]);
    const text = await run('sessions', '--agent', 'roofer', '--limit', '2');
    expect(text).toContain('… and more');
    expect(text).not.toContain(started[0]);
  });

  it('filters', async () => {
    const idsOf = (text: string) => rows(text).map(([id]) => id);
    expect(idsOf(await run('sessions', '--needs-attention'))).toEqual([started[2]]);
    expect(idsOf(await run('sessions', '--root', started[0]!))).toEqual([started[0]]);
    expect(idsOf(await run('sessions', '--status', 'completed'))).toEqual([]);
  });

  it('keeps what agents wrote on one line, and from the terminal', async () => {
    const text = await run('sessions', '--agent', 'roofer');
    expect(text).toContain(String.raw`paint the \x1b[31mroof`);
    expect(rows(text)).toHaveLength(3);
  });

  it('shows a session with its attempts', async () => {
    const text = await run('show', started[0]!);
    expect(text).toMatch(/^objective +mend the roof$/m);
    expect(text).toMatch(/^attempt +1 of 1$/m);
    expect((await json('show', started[0]!)).attempts).toHaveLength(1);
  });

  it('shows its checkpoints', async () => {
    const body = { objective: 'save it' };
    const { body: started } = await service.call('POST', '/api/agents/roofer/sessions', { body });
    const { session, token } = started;
    const saved = await service.call('POST', `/api/sessions/${session.id}/checkpoints`, {
      token,
      body: { trigger: 'turn', reasoning: { nextStep: 'sweep the roof' } },
    });
    expect(saved.status).toBe(201);
    const text = await run('show', session.id);
    expect(text).toMatch(new RegExp(`^1 +${saved.body.id} .* turn +stored .*sweep the roof$`, 'm'));
    expect((await json('show', session.id)).checkpoints).toMatchObject([{ id: saved.body.id }]);
  });

  it('shows a run with its steps', async () => {
    const { body } = await service.call('POST', '/api/agents/roofer/heartbeat');
    const text = await run('show', body.runId);
    expect(text).toMatch(/^status +(ok|warning)$/m);
    expect(text).toMatch(/^load agent +ok +\d+$/m);
    expect((await json('show', body.runId)).steps.length).toBeGreaterThan(3);
  });

  it('says so where there is neither', async () => {
    const id = '01920000-0000-7000-8000-000000000000';
    const { code, stderr } = await defib(['show', id], { env: operatorOf(service) });
    expect(stderr).toContain(`defib: not_found: No session and no run has the id ${id}.`);
    expect(code).toBe(1);
  });
});
