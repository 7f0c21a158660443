import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Json, startService, type TestService } from '../setup/service.ts';

/** Every route for every kind of caller. A route that is missing here fails: somebody has to say who may use it. */
const ALLOWED: Record<string, readonly Caller[]> = {
  heartbeat: ['operator', 'agent'],
  putAgent: ['operator'],
  getAgent: ['operator'],
  listAgents: ['operator'],
  putRepo: ['operator'],
  getRepo: ['operator'],
  deleteRepo: ['operator'],
  listRepos: ['operator'],
  issueToken: ['operator'],
  listTokens: ['operator'],
  revokeToken: ['operator'],
  listAudit: ['operator'],
  getStatus: ['operator'],
  // Any token tells whom it stands for.
  getCaller: [
    'operator',
    'agent',
    'other agent',
    'session',
    'sibling session',
    'other session',
    'superseded session',
  ],
  // Each sees its own: see below.
  listRuns: ['operator', 'agent', 'other agent'],
  listSessions: ['operator', 'agent', 'other agent'],
  getRun: ['operator', 'agent', 'session'],
  startSession: ['operator', 'agent'],
  claimSession: ['operator', 'agent'],
  getSession: ['operator', 'agent', 'session'],
  getContinuation: ['operator', 'agent', 'session'],
  beatSession: ['session'],
  saveCheckpoint: ['session'],
  interruptSession: ['operator', 'agent', 'session'],
  finishSession: ['session'],
  resumeSession: ['operator', 'agent'],
  cancelSession: ['operator', 'agent'],
  dismissSession: ['operator', 'agent'],
  listCheckpoints: ['operator', 'agent', 'session'],
  getCheckpoint: ['operator', 'agent', 'session'],
  getCheckpointBundle: ['operator', 'agent', 'session'],
  getCheckpointDiff: ['operator', 'agent', 'session'],
};

const BODIES: Record<string, object> = {
  putAgent: { paused: false },
  issueToken: { scope: 'agent', agentName: 'builder' },
  startSession: { objective: 'x' },
  saveCheckpoint: { trigger: 'turn', reasoning: { nextStep: 'x' } },
  interruptSession: { reason: 'x' },
  finishSession: { outcome: 'failed' },
};

const CALLERS = [
  'nobody',
  'unknown',
  'revoked',
  'other agent',
  'sibling session',
  'other session',
  'superseded session',
  'agent',
  'session',
  'operator',
] as const;
type Caller = (typeof CALLERS)[number];
const UNKNOWN: ReadonlySet<Caller> = new Set(['nobody', 'unknown', 'revoked']);

let service: TestService;
const tokens = {} as Record<Caller, string | null>;
const ids: Record<string, string> = { agentName: 'builder', owner: 'acme', name: 'app' };
let operations: { name: string; method: string; path: string; id: string }[];

async function start(agentName: string, token: string) {
  const { body } = await service.call('POST', `/api/agents/${agentName}/sessions`, {
    token,
    body: { objective: 'x' },
  });
  return { id: body.session.id as string, token: body.token as string };
}

/** The session that is asked for, with a checkpoint, as the second attempt of its chain. */
async function renewTarget(): Promise<void> {
  const { db } = service.started.deps;
  const [first, own] = [
    await start('builder', tokens.agent!),
    await start('builder', tokens.agent!),
  ];
  await db
    .updateTable('sessions')
    .set({ status: 'timed_out', ended_at: new Date() })
    .where('id', '=', first.id)
    .execute();
  await db
    .updateTable('sessions')
    .set({ root_id: first.id, resumed_from: first.id, attempt: 2 })
    .where('id', '=', own.id)
    .execute();
  tokens['superseded session'] = first.token;
  tokens.session = own.token;
  ids['session'] = own.id;
  const saved = await service.call('POST', `/api/sessions/${own.id}/checkpoints`, {
    token: own.token,
    body: BODIES['saveCheckpoint']!,
  });
  expect(saved.status).toBe(201);
  ids['checkpoint'] = saved.body.id;
  const runs = await service.call('GET', `/api/runs?sessionId=${own.id}`);
  ids['run'] = runs.body.items[0].id;
  const issued = await service.call('POST', '/api/tokens', { body: BODIES['issueToken']! });
  ids['token'] = issued.body.id;
  await service.call('PUT', '/api/repos/acme/app');
}

beforeAll(async () => {
  service = await startService('postgres', { env: { DEFIB_RATE_LIMIT_PER_MINUTE: '0' } });
  tokens.nobody = null;
  tokens.unknown = `dfb_op_${'0'.repeat(43)}`;
  const revoked = await service.call('POST', '/api/tokens', { body: { scope: 'operator' } });
  await service.call('DELETE', `/api/tokens/${revoked.body.id}`);
  tokens.revoked = revoked.body.token;
  tokens.operator = service.env['DEFIB_OPERATOR_TOKEN']!;
  tokens.agent = await service.agentToken('builder');
  tokens['other agent'] = await service.agentToken('stranger');
  tokens['sibling session'] = (await start('builder', tokens.agent)).token;
  tokens['other session'] = (await start('stranger', tokens['other agent'])).token;
  const { paths } = (await service.call('GET', '/openapi.json', { token: null })).body;
  operations = Object.entries<Json>(paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods)
      .filter(([, { security }]) => security !== undefined)
      .map(([method, { operationId }]) => ({
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path,
        id: operationId,
      })),
  );
});
afterAll(() => service.stop());

/** What `{id}` stands for in a path. */
const idIn = (path: string): string =>
  ids[/\/(session|checkpoint|run|token)s\/\{id\}/.exec(path)?.[1] ?? ''] ?? '';

function expectRefused(caller: Caller, status: number, what: string): void {
  // After twenty wrong tokens from one address they are slowed.
  if (UNKNOWN.has(caller)) expect([401, 429], what).toContain(status);
  else expect([403, 404], what).toContain(status);
}

describe('who may do what', () => {
  it('is said for every route of the API', () => {
    expect(operations.map(({ id }) => id).toSorted()).toEqual(Object.keys(ALLOWED).toSorted());
  });

  it('is what every route does for every kind of caller', { timeout: 120_000 }, async () => {
    for (const { name, method, path, id } of operations) {
      await renewTarget();
      const filled = path
        .replace('{id}', idIn(path))
        .replaceAll(/\{(\w+)\}/g, (_, key: string) => ids[key] ?? '');
      for (const caller of CALLERS) {
        const body = BODIES[id];
        const { status, text } = await service.call(method, filled, {
          token: tokens[caller],
          headers: { Prefer: 'respond-async' },
          ...(body && { body }),
        });
        const what = `${name} as ${caller}: ${status} ${text}`;
        if (!ALLOWED[id]?.includes(caller)) expectRefused(caller, status, what);
        else if (id === 'getCheckpointBundle') expect(text, what).toContain('There is no bundle');
        else expect([200, 201, 202, 204, 409], what).toContain(status);
      }
    }
  });

  it('in lists is that each sees its own', async () => {
    for (const path of ['/api/runs', '/api/sessions']) {
      const { body } = await service.call('GET', path, { token: tokens['other agent'] });
      for (const item of body.items) expect(item.agentName).toBe('stranger');
      const asked = `${path}?agentName=builder`;
      const { status } = await service.call('GET', asked, { token: tokens['other agent'] });
      expect(status).toBe(403);
    }
  });
});
