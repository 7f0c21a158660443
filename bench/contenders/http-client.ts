import { Agent, request } from 'node:http';
import type { OutgoingHttpHeaders } from 'node:http';
import { json } from 'node:stream/consumers';

export type HttpClient = {
  /** Sends JSON, or nothing for undefined; resolves to the status and the parsed answer, rejects on a broken connection. */
  send(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    body: unknown,
  ): Promise<{ status: number; body: unknown }>;
  close(): void;
};

/** Keep-alive client on loopback with one connection per caller. */
export function createHttpClient(port: number, connections: number): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  return {
    send: (method, path, headers, body) =>
      new Promise((resolve, reject) => {
        const payload = body === undefined ? '' : JSON.stringify(body);
        const options = { host: '127.0.0.1', port, agent, method, path };
        const all = {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(payload),
          ...headers,
        };
        request({ ...options, headers: all }, (response) => {
          json(response).then(
            (answer) => resolve({ status: response.statusCode ?? 0, body: answer }),
            reject,
          );
        })
          .on('error', reject)
          .end(payload);
      }),
    close: () => agent.destroy(),
  };
}
