import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { Pass, Started } from '../contenders/types.ts';

/**
 * The thinnest HTTP front that still checks a bearer token: node:http, no framework, no schema, no
 * look-up of the token in a database. It puts a library behind HTTP at the least possible cost.
 */
export async function listen(
  call: Started['call'],
  token: string,
): Promise<{ port: number; close(): Promise<void> }> {
  const expected = digest(`Bearer ${token}`);
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
      response.writeHead(401).end();
      return;
    }
    const pass = (await json(request)) as Pass;
    const result = JSON.stringify(await call(pass.tick));
    response.writeHead(200, { 'content-type': 'application/json' }).end(result);
  };
  const server = createServer((request, response) => {
    respond(request, response).catch((error: unknown) =>
      response.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
