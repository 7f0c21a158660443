import { request } from 'node:http';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHostCheck } from '../../src/http/hosts.ts';
import { startService, type TestService } from '../setup/service.ts';

const check = (host: string, more: { publicUrl?: string; allowed?: string[] } = {}) =>
  createHostCheck({ host, publicUrl: more.publicUrl, allowed: more.allowed ?? [] });

describe('the names that a service answers to', () => {
  it.each([
    '127.0.0.1:4700',
    'localhost:4700',
    'a.localhost',
    '[::1]:4700',
    '10.0.0.7',
    'LOCALHOST.',
  ])('are everywhere %s', (name) => {
    expect(check('127.0.0.1')(name)).toBe(true);
    expect(check('0.0.0.0')(name)).toBe(true);
  });

  it.each([
    'evil.example',
    'evil.example:4700',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
  ])('are nowhere %s', (name) => {
    expect(check('127.0.0.1')(name)).toBe(false);
    expect(check('0.0.0.0')(name)).toBe(false);
  });

  it.each(['defib', 'defib:4700', 'defib.prod.svc', 'defib.prod.svc.cluster.local', 'box.local'])(
    'are beyond loopback also %s',
    (name) => {
      expect(check('127.0.0.1')(name)).toBe(false);
      expect(check('0.0.0.0')(name)).toBe(true);
      expect(check('::')(name)).toBe(true);
    },
  );

  it('are those that the operator names', () => {
    expect(
      check('127.0.0.1', { publicUrl: 'https://defib.example.com/x' })('defib.example.com'),
    ).toBe(true);
    const named = check('127.0.0.1', { allowed: ['one.example', '*.two.example'] });
    expect(['one.example', 'a.two.example', 'two.example', 'three.example'].map(named)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(check('127.0.0.1', { allowed: ['*'] })('any.example')).toBe(true);
  });
});

describe('a service on loopback', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startService('postgres', { worker: false });
  });
  afterAll(() => service.stop());

  /** `fetch` sends the name of its URL alone. */
  async function ask(path: string, host: string): Promise<{ status: number; text: string }> {
    const asked = request(service.url + path, { headers: { Host: host } }).end();
    const [answer] = await once(asked, 'response');
    let text = '';
    for await (const chunk of answer) text += chunk;
    return { status: answer.statusCode, text };
  }

  it('does not answer to the name of another site', async () => {
    for (const path of ['/docs', '/openapi.json', '/metrics', '/api/runs', '/admin/queues']) {
      const { status, text } = await ask(path, 'rebound.example');
      expect(status).toBe(403);
      expect(JSON.parse(text)).toMatchObject({ code: 'forbidden' });
      expect(text).toContain('DEFIB_ALLOWED_HOSTS');
    }
    expect((await ask('/healthz', 'rebound.example')).status).toBe(200);
    expect((await ask('/openapi.json', 'localhost')).status).toBe(200);
  });
});
