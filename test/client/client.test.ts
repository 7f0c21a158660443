import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, DefibError, type Run, unwrap } from '../../src/client/index.ts';
import { pickPort } from '../../src/db/embedded/port.ts';
import { startService, type TestService } from '../setup/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService('postgres');
});
afterAll(() => service.stop());

const params = { path: { agentName: 'builder' } };

/** What the call is refused with. */
const refusal = (call: Promise<unknown>): Promise<DefibError> =>
  call.then(
    () => expect.fail('it was not refused'),
    (error: unknown) => {
      expect(error).toBeInstanceOf(DefibError);
      return error as DefibError;
    },
  );

/** Calls a server that answers this. */
async function answeredBy<T>(listener: RequestListener, use: (url: string) => Promise<T>) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe('the client', () => {
  it('calls the API, typed by path', async () => {
    const client = createClient({ url: service.url, token: await service.agentToken('builder') });
    const beat = await unwrap(client.POST('/api/agents/{agentName}/heartbeat', { params }));
    const path = { id: beat.runId };
    const run: Run = await unwrap(client.GET('/api/runs/{id}', { params: { path } }));
    expect(run).toMatchObject({ id: beat.runId, status: 'ok' });
    // 204: nothing to claim.
    expect(await unwrap(client.POST('/api/agents/{agentName}/claim', { params }))).toBeUndefined();
  });

  it('throws problems with their code, and the fields that are wrong', async () => {
    const client = createClient({ url: service.url, token: await service.agentToken('builder') });
    const query = { limit: 0 };
    const { code, problem } = await refusal(unwrap(client.GET('/api/runs', { params: { query } })));
    expect({ code, status: problem.status }).toEqual({ code: 'invalid', status: 422 });
    expect(problem.errors).toMatchObject([{ path: 'query.limit' }]);
  });

  it('throws "unreachable" with the reason when nothing answers', async () => {
    const client = createClient({ url: `http://127.0.0.1:${await pickPort(undefined)}` });
    const error = await refusal(unwrap(client.GET('/healthz', {})));
    expect(error).toMatchObject({ code: 'unreachable', message: /ECONNREFUSED/ });
  });

  it('throws "unreachable" when the connection breaks in the middle of the answer', async () => {
    const error = await answeredBy(
      (_, response) => {
        response.write('{"items": [');
        setImmediate(() => response.destroy());
      },
      (url) => refusal(unwrap(createClient({ url }).GET('/api/runs', {}))),
    );
    expect(error.code).toBe('unreachable');
  });

  it('throws the status of what is no answer of Defib, and when to come back', async () => {
    const error = await answeredBy(
      (_, response) => response.writeHead(502, { 'Retry-After': '7' }).end('<html>'),
      (url) => refusal(unwrap(createClient({ url }).GET('/api/runs', {}))),
    );
    expect(error).toMatchObject({
      code: 'http_502',
      problem: { status: 502, detail: 'Bad Gateway', retryAfterSeconds: 7 },
    });
  });

  it('leaves an abort of the caller as it is', async () => {
    const signal = AbortSignal.abort();
    const call = unwrap(createClient({ url: service.url }).GET('/healthz', { signal }));
    await expect(call).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
  });
});
