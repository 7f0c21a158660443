import { once } from 'node:events';
import { request } from 'node:http';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../setup/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService('postgres', { worker: false });
});
afterAll(() => service.stop());

const callWithId = (id: string) =>
  service.call('GET', '/api/runs', { token: null, headers: { 'X-Request-Id': id } });
const putAs = (type: string, body: string) =>
  service.call('PUT', '/api/agents/builder', { body, headers: { 'Content-Type': type } });

describe('every problem', () => {
  it('is application/problem+json with a stable code and the id of the request', async () => {
    const answer = await service.call('GET', '/nothing/here', { token: null });
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body).toEqual({
      type: 'about:blank',
      title: 'Not found',
      status: 404,
      code: 'not_found',
      detail: 'There is no GET /nothing/here. GET /docs lists all.',
      requestId: answer.headers.get('x-request-id'),
    });
    expect(answer.body.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('repeats the request id that the caller chose, unless it is no id', async () => {
    const kept = await callWithId('trace-7_a');
    expect(kept.headers.get('x-request-id')).toBe('trace-7_a');
    expect(kept.body.requestId).toBe('trace-7_a');
    for (const id of ['x'.repeat(101), 'a b', '<script>', '{"a":1}']) {
      const { body } = await callWithId(id);
      expect(body.requestId).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

describe('a path or method that there is not', () => {
  it.each([
    ['GET', '/api/nothing'],
    ['PATCH', '/api/agents/builder'],
    ['POST', '/api/runs'],
    ['OPTIONS', '/api/agents'],
    ['GET', '/api/agents/'],
    ['GET', '/api//agents'],
    ['DELETE', '/healthz'],
    ['GET', '/docs/assets/..%2f..%2fpackage.json'],
    ['GET', '/docs/assets/index.html'],
  ])('is not found: %s %s', async (method, path) => {
    const answer = await service.call(method, path);
    expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it('answers HEAD where it answers GET, with no body', async () => {
    for (const [path, status] of [
      ['/api/agents', 200],
      ['/healthz', 200],
      ['/api/agents/nobody', 404],
      ['/nothing', 404],
    ] as const) {
      const answer = await service.call('HEAD', path);
      expect(answer).toMatchObject({ status, text: '' });
    }
  });
});

describe('a body', () => {
  it.each([
    ['that is not JSON', '{"paused": tru', 'application/json'],
    ['that is empty but announced as JSON', ' ', 'application/json'],
    ['sent as a form', '{"paused":true}', 'application/x-www-form-urlencoded'],
    ['sent as text', '{"paused":true}', 'text/plain'],
    ['of parts', '{"paused":true}', 'multipart/form-data; boundary=x'],
    ['of a type that is none', '{"paused":true}', 'json'],
  ])('%s is malformed', async (_what, body, type) => {
    const answer = await putAs(type, body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'malformed' } });
    expect(answer.body.detail).toContain('JSON');
  });

  it('may say its character set', async () => {
    const type = 'application/json; charset=utf-8';
    expect((await putAs(type, '{}')).status).toBe(200);
  });

  it.each([
    ['/api/agents/builder', 'PUT'],
    ['/api/tokens', 'POST'],
    ['/api/agents/builder/heartbeat', 'POST'],
  ])('of 2 MB is too large for %s, also in chunks', async (path, method) => {
    const text = `{"note":"${'x'.repeat(2_000_000)}"}`;
    const whole = await service.call(method, path, { body: text });
    expect(whole).toMatchObject({ status: 413, body: { code: 'too_large' } });
    const chunked = await fetch(service.url + path, {
      method,
      headers: {
        Authorization: `Bearer ${service.env['DEFIB_OPERATOR_TOKEN']}`,
        'Content-Type': 'application/json',
      },
      body: new Blob([text]).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(chunked.status).toBe(413);
  });
});

it('takes no notice of a body that comes with a GET', async () => {
  const headers = {
    Authorization: `Bearer ${service.env['DEFIB_OPERATOR_TOKEN']}`,
    'Transfer-Encoding': 'chunked',
  };
  const asked = request(`${service.url}/api/agents`, { headers }).end('{"paused":true}');
  const [answer] = await once(asked, 'response');
  answer.resume();
  expect(answer.statusCode).toBe(200);
});

it('serves the next request on the connection of a body that was too large', async () => {
  const headers = {
    Authorization: `Bearer ${service.env['DEFIB_OPERATOR_TOKEN']}`,
    'Content-Type': 'application/json',
  };
  const put = async (body: string) => {
    const response = await fetch(`${service.url}/api/agents/builder`, {
      method: 'PUT',
      headers,
      body,
    });
    await response.text();
    return response.status;
  };
  for (let at = 0; at < 10; at += 1) {
    expect(await put('x'.repeat(1_100_000))).toBe(413);
    expect(await put('{}')).toBe(200);
  }
});

describe('what goes wrong inside', () => {
  it('is told as an internal error that leaks nothing but the request id', async () => {
    const { db } = service.started.deps;
    await sql`ALTER TABLE agents RENAME TO hidden_agents`.execute(db);
    try {
      const answer = await service.call('GET', '/api/agents', {
        headers: { 'X-Request-Id': 'look-here' },
      });
      expect(answer).toMatchObject({ status: 500, body: { code: 'internal', status: 500 } });
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(answer.body.detail).toContain('look-here');
      expect(Object.keys(answer.body).sort()).toEqual(
        ['code', 'detail', 'requestId', 'status', 'title', 'type'].sort(),
      );
      expect(answer.text).not.toMatch(/agents|relation|select|postgres|kysely|\.ts|42P01/i);
    } finally {
      await sql`ALTER TABLE hidden_agents RENAME TO agents`.execute(db);
    }
    expect((await service.call('GET', '/api/agents')).status).toBe(200);
  });
});
