import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export type Proxy = {
  /** `url` with the proxy's address in place of the server's. */
  url: string;
  /** Ends all connections and refuses new ones, as a server that went away. */
  cut(): void;
  /** Keeps connections open and passes nothing on, as a network that swallows packets. */
  stall(): void;
  /** Passes what is asked on, and no answer back, as a network that breaks in between. */
  mute(): void;
  /** Passes connections on again. */
  restore(): void;
  close(): Promise<void>;
};

/** A TCP proxy on 127.0.0.1 before the server of `url`, to take that server away from one client. */
export async function startProxy(url: string): Promise<Proxy> {
  const target = new URL(url);
  let state: 'open' | 'cut' | 'stalled' | 'mute' = 'open';
  const sockets = new Set<Socket>();
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((client) => {
    track(client);
    if (state === 'cut') return void client.destroy();
    if (state === 'stalled') return void client.pause();
    const upstream = track(connect(Number(target.port), target.hostname));
    client.pipe(upstream).on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('data', (chunk: Buffer) => void (state !== 'mute' && client.write(chunk)));
    upstream.on('end', () => client.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const proxied = new URL(url);
  proxied.hostname = '127.0.0.1';
  proxied.port = String((server.address() as AddressInfo).port);
  const endAll = () => sockets.forEach((socket) => socket.destroy());
  return {
    url: proxied.href,
    cut: () => {
      state = 'cut';
      endAll();
    },
    stall: () => {
      state = 'stalled';
      sockets.forEach((socket) => socket.unpipe().pause());
    },
    mute: () => {
      state = 'mute';
    },
    restore: () => {
      state = 'open';
      endAll();
    },
    close: async () => {
      endAll();
      server.close();
      await once(server, 'close');
    },
  };
}
