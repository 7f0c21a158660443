import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/**
 * A free TCP port of 127.0.0.1: the preferred one if nobody has it, else one that the kernel picks.
 * Free means now: whoever binds it must be ready to be second.
 */
export async function pickPort(preferred: number | undefined): Promise<number> {
  const asked = preferred === undefined ? undefined : await tryPort(preferred);
  const port = asked ?? (await tryPort(0));
  if (port === undefined) throw new Error('127.0.0.1 has no free port');
  return port;
}

async function tryPort(port: number): Promise<number | undefined> {
  const server = createServer();
  server.listen({ host: '127.0.0.1', port, exclusive: true });
  try {
    await once(server, 'listening');
    // A server that listens on a TCP port has an address of this shape.
    return (server.address() as AddressInfo).port;
  } catch {
    return undefined;
  } finally {
    server.close();
  }
}
