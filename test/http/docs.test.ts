import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type Json, startService, type TestService } from '../setup/service.ts';
import { attachBundle, insertBundle } from '../../src/db/queries/bundles.ts';
import { newId } from '../../src/services/ids.ts';
import { until } from '../setup/until.ts';

type Options = Parameters<TestService['call']>[2];

let service: TestService;
let document: Json;
beforeAll(async () => {
  service = await startService('postgres');
  document = (await service.call('GET', '/openapi.json', { token: null })).body;
});
afterAll(() => service.stop());

/** Every operation of the document, as `GET /path/{parameter}`. */
const operations = () =>
  Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      path,
      method,
      operation,
    })),
  );

describe('/openapi.json', () => {
  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const result = await validator.validate(structuredClone(document));
    expect(result.errors).toBeUndefined();
    expect(result.valid).toBe(true);
    expect(validator.version).toBe('3.1');
  });

  it('has every route of the service, and no other', () => {
    const hidden = /^\/(docs|admin|openapi\.json|mcp)/;
    const routes = service.started
      .http!.app.routes.filter(({ method, path }) => method !== 'ALL' && !hidden.test(path))
      .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    expect([...new Set(routes)].sort()).toEqual(
      operations()
        .map(({ name }) => name)
        .sort(),
    );
  });

  it('names, groups and describes every operation', () => {
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const groups = document.tags.map(({ name }: { name: string }) => name);
    for (const { name, path, operation } of operations()) {
      expect(operation.operationId, name).toMatch(/^[a-z][A-Za-z]+$/);
      expect(operation.summary, name).toMatch(/^[A-Z].{5,}[^.]$/);
      expect(groups, name).toContain(operation.tags[0]);
      expect(operation.security, name).toEqual(
        path.startsWith('/api/') ? [{ bearer: [] }] : undefined,
      );
    }
  });
});

/** A part of a JSON pointer. */
const segment = (text: string) => text.replaceAll('~', '~0').replaceAll('/', '~1');

describe('what the service answers', () => {
  const ajv = addFormats.default(new Ajv2020({ strict: false, allErrors: true }));
  const seen = new Set<string>();

  beforeAll(() => void ajv.addSchema(document, 'openapi'));

  /** Fails unless the document announces this answer: its status, media type and every field. */
  function expectDocumented(name: string, answer: Answer): void {
    const [method = '', path = ''] = name.split(' ');
    const response = document.paths[path][method.toLowerCase()].responses[answer.status];
    expect(response, `${name} answered ${answer.status}: ${answer.text}`).toBeDefined();
    seen.add(`${name} ${answer.status}`);
    if (response.content === undefined) return expect(answer.text).toBe('');
    const type = answer.headers.get('content-type')!.split(';')[0]!;
    expect(Object.keys(response.content), name).toContain(type);
    const pointer = ['paths', path, method.toLowerCase(), 'responses', `${answer.status}`];
    const ref = [...pointer, 'content', type, 'schema'].map(segment).join('/');
    const validate = ajv.compile({
      $ref: `openapi#/${ref}`,
      ...(type.endsWith('json') && { unevaluatedProperties: false }),
    });
    validate(type.endsWith('json') ? answer.body : answer.text);
    expect(validate.errors, `${name} ${answer.status}`).toBeNull();
  }

  const call = async (name: string, options: Options = {}, values: Record<string, string> = {}) => {
    const [method = '', path = ''] = name.split(' ');
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, key: string) => values[key] ?? 'builder');
    const answer = await service.call(method, filled + (values['query'] ?? ''), options);
    expectDocumented(name, answer);
    return answer;
  };

  async function callRepos() {
    const repo = { owner: 'acme', name: 'app' };
    await call('PUT /api/repos/{owner}/{name}', {}, repo);
    await call('GET /api/repos/{owner}/{name}', {}, repo);
    await call('GET /api/repos');
    await call('DELETE /api/repos/{owner}/{name}', {}, repo);
    await call('GET /api/repos/{owner}/{name}', {}, repo);
  }

  async function callSessions() {
    const start = 'POST /api/agents/{agentName}/sessions';
    const { body: first } = await call(start, { body: { objective: 'fix it', repo: 'acme/app' } });
    const [id, token] = [first.session.id, first.token];
    await call('POST /api/sessions/{id}/heartbeat', { token, body: { turn: 1 } }, { id });
    await call('GET /api/sessions/{id}', {}, { id });
    await call('GET /api/sessions');
    await callCheckpoints(id, token);
    await call('POST /api/sessions/{id}/interrupt', { token, body: { reason: 'stop' } }, { id });
    await call('POST /api/sessions/{id}/heartbeat', { token }, { id });
    await call('GET /api/sessions/{id}/continuation', { token }, { id });
    await call(
      'GET /api/sessions/{id}/continuation',
      { token, headers: { Accept: 'application/json' } },
      { id },
    );
    const claim = 'POST /api/agents/{agentName}/claim';
    const { body: next } = await until('the work is to be resumed', async () => {
      const claimed = await call(claim);
      return claimed.status === 200 ? claimed : undefined;
    });
    await call(claim);
    await call(
      'POST /api/sessions/{id}/finish',
      { token: next.token, body: { outcome: 'completed' } },
      { id: next.session.id },
    );
    await callVerbs();
  }

  async function callVerbs() {
    const { body } = await call('POST /api/agents/{agentName}/sessions', {
      body: { objective: 'mend it' },
    });
    const { id } = body.session;
    await call('POST /api/sessions/{id}/cancel', { body: { reason: 'not now' } }, { id });
    const resume = 'POST /api/sessions/{id}/resume';
    const { body: next } = await call(resume, { body: { extraBudget: 1 } }, { id });
    await call(resume, {}, { id });
    await call('POST /api/sessions/{id}/dismiss', {}, { id });
    await call('POST /api/sessions/{id}/cancel', {}, { id: next.id });
    await call('POST /api/sessions/{id}/dismiss', {}, { id });
  }

  async function callCheckpoints(id: string, token: string) {
    const save = 'POST /api/sessions/{id}/checkpoints';
    const body = { trigger: 'turn', reasoning: { nextStep: 'push' } };
    const { body: saved } = await call(save, { token, body }, { id });
    const later = { Prefer: 'respond-async' };
    await call(save, { token, body, headers: later }, { id });
    await call('GET /api/sessions/{id}/checkpoints', { token }, { id });
    await call('GET /api/checkpoints/{id}', { token }, { id: saved.id });
    await call('GET /api/checkpoints/{id}/diff', { token }, { id: saved.id });
    // As if its worktree had been captured.
    const { db } = service.started.deps;
    const bundleId = newId();
    const bytes = (async function* () {
      yield Buffer.from('bundle');
    })();
    await insertBundle(db, { id: bundleId, sessionId: id, prerequisites: [], chunks: bytes });
    await attachBundle(db, { checkpointId: saved.id, bundleId, holdsEarlier: true });
    await call('GET /api/checkpoints/{id}/bundle', { token }, { id: saved.id });
  }

  it('is documented, for a success of every operation', async () => {
    const beat = 'POST /api/agents/{agentName}/heartbeat';
    await call('PUT /api/agents/{agentName}', { body: { policy: { heartbeatSeconds: 9 } } });
    await call('GET /api/agents/{agentName}');
    await call('GET /api/agents', {}, { query: '?limit=1' });
    const { body: run } = await call(beat, { body: { turn: 1, note: 'hello' } });
    await call(beat, { headers: { Prefer: 'respond-async' } });
    await call('GET /api/runs/{id}', {}, { id: run.runId });
    await call('GET /api/runs');
    const issued = { scope: 'agent', agentName: 'builder', expiresAt: '2999-01-01T00:00:00Z' };
    const { body: token } = await call('POST /api/tokens', { body: issued });
    await call('GET /api/tokens');
    await call('GET /api/audit');
    await call('GET /api/status');
    await call('GET /api/me');
    await call('DELETE /api/tokens/{id}', {}, { id: token.id });
    await callRepos();
    await callSessions();
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      await call(`GET ${path}`, { token: null });
    }
    const successes = operations().flatMap(({ name, operation }) =>
      Object.keys(operation.responses)
        .filter((status) => status.startsWith('2'))
        .map((status) => `${name} ${status}`),
    );
    expect(successes.filter((success) => !seen.has(success))).toEqual([]);
  });

  it('is documented, when it refuses', async () => {
    const id = '01920000-0000-7000-8000-000000000000';
    for (const { name, operation } of operations()) {
      if (!operation.security) continue;
      await call(name, { token: null }, { id });
      const body = operation.requestBody && { body: { unknown: 1 } };
      const wrong = await call(name, body, {
        agentName: 'a..b',
        id: '1',
        owner: '-',
        query: '?limit=0',
      });
      expect(wrong.status, name).toBe(422);
      if (!operation.requestBody) continue;
      await call(name, { body: '{' });
      await call(name, { body: 'x'.repeat(1_100_000) });
    }
    const token = await service.agentToken('builder');
    await call('GET /api/agents', { token });
    await call('GET /api/agents/{agentName}', {}, { agentName: 'nobody' });
    await call('GET /api/runs/{id}', { token }, { id });
    await call('DELETE /api/tokens/{id}', {}, { id });
    await call('PUT /api/agents/{agentName}', { body: { paused: true } });
    await call('POST /api/agents/{agentName}/heartbeat', { token });
    await call('PUT /api/agents/{agentName}', { body: { paused: false } });
  });

  it('is a refusal, where a list is asked with a parameter that it does not have', async () => {
    const lists = operations().filter(({ operation }) =>
      operation.parameters?.some((parameter: Json) => parameter.in === 'query'),
    );
    expect(lists.length).toBeGreaterThan(3);
    for (const { name } of lists) {
      const { body } = await call(name, {}, { query: '?pge=2' });
      expect(body.errors, name).toEqual([
        { path: 'query.pge', message: 'is not a field of this request' },
      ]);
    }
  });
});

describe('/docs', () => {
  it('loads from its own host alone', async () => {
    const page = await service.call('GET', '/docs', { token: null });
    expect(page.headers.get('content-type')).toContain('text/html');
    const policy = page.headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toMatch(/https?:|\*|script-src [^;]*unsafe/);

    const loaded = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
    expect(loaded.length).toBeGreaterThan(2);
    for (const path of loaded) {
      expect(path).toMatch(/^\/docs\//);
      const asset = await service.call('GET', path, { token: null });
      expect(asset.status, path).toBe(200);
      expect(asset.text.length).toBeGreaterThan(50);
    }
    // Nothing inline that the policy would stop.
    expect(page.text).not.toMatch(/<script>|<style>| on\w+=/);
  });

  it('shows /openapi.json and has no other server judge it', async () => {
    const script = await service.call('GET', '/docs/start.js', { token: null });
    expect(script.headers.get('content-type')).toContain('text/javascript');
    expect(script.text).toContain("url: '/openapi.json'");
    expect(script.text).toContain('validatorUrl: null');
  });
});
