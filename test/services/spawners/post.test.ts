import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isPublic, postJson } from '../../../src/services/spawners/post.ts';

async function serve(listener: RequestListener): Promise<URL> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

const options = { body: '{}', headers: {}, signal: new AbortController().signal };
const allowed = { ...options, allowPrivate: true };

describe('a webhook', () => {
  it('that never answers is given up in time', async () => {
    const url = await serve(() => undefined);
    await expect(postJson(url, { ...allowed, timeoutMs: 100 })).rejects.toMatchObject({
      code: 'unavailable',
      transient: true,
      message: expect.stringContaining('did not answer in time'),
    });
  });

  it('that is not there, or answers an error, is named', async () => {
    const url = await serve((_request, response) => response.writeHead(503).end());
    await expect(postJson(url, allowed)).rejects.toThrow(/answered 503, an error/);
    const nowhere = new URL('http://127.0.0.1:1/');
    await expect(postJson(nowhere, allowed)).rejects.toThrow(/cannot be reached/);
    const unknown = new URL('https://name.invalid/');
    await expect(postJson(unknown, allowed)).rejects.toThrow(/cannot be found/);
  });

  it('at a private address, or without TLS, is refused and not asked', async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked += 1;
      response.end();
    });
    const strict = { ...options, allowPrivate: false };
    await expect(postJson(url, strict)).rejects.toMatchObject({ code: 'invalid' });
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '0x7f.1', '[::ffff:127.0.0.1]']) {
      const secure = new URL(`https://${host}:${url.port}/`);
      await expect(postJson(secure, strict), host).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringContaining('its address is not public'),
      });
    }
    expect(asked).toBe(0);
    await postJson(url, allowed);
    expect(asked).toBe(1);
  });
});

it.each([
  ['93.184.216.34', true],
  ['2606:2800:220:1:248:1893:25c8:1946', true],
  ['10.1.2.3', false],
  ['169.254.169.254', false],
  ['100.64.0.1', false],
  ['::', false],
  ['fe80::1', false],
  ['fd00::1', false],
  ['2002:7f00:1::', false],
  ['64:ff9b::7f00:1', false],
])('the address %s is public: %s', (address, is) => {
  expect(isPublic(address)).toBe(is);
});
