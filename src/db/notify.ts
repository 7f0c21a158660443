import { Client, type Pool } from 'pg';
import { KEEP_ALIVE_MS } from './connect.ts';

export type Notifier = {
  /** Sends to whoever listens on the channel. A transaction of its own, so keep messages few. */
  send(channel: string, payload: string): Promise<void>;
  close(): Promise<void>;
};

/** NOTIFY takes at most 8,000 bytes. */
export const MAX_NOTIFY_BYTES = 7900;

/**
 * Listens on one channel over a connection of its own, which is opened again when it breaks.
 * Messages sent while it is down are lost: use them as hints only.
 */
export function createNotifier(options: {
  url: string;
  pool: Pool;
  channel: string;
  retryMs: number;
  onMessage: (payload: string) => void;
  onError: (error: Error) => void;
}): Notifier {
  let client: Client | undefined;
  let retry: NodeJS.Timeout | undefined;
  let closed = false;

  const connect = async () => {
    const fresh = new Client({
      connectionString: options.url,
      application_name: 'defib-listen',
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      connectionTimeoutMillis: 5000,
    });
    client = fresh;
    fresh.on('notification', ({ payload }) => options.onMessage(payload ?? ''));
    fresh.on('error', options.onError);
    fresh.on('end', () => {
      if (!closed) retry = setTimeout(start, options.retryMs);
    });
    await fresh.connect();
    await fresh.query(`LISTEN ${fresh.escapeIdentifier(options.channel)}`);
  };
  const start = () =>
    void connect().catch((error: unknown) => {
      options.onError(error instanceof Error ? error : new Error(String(error)));
      void client?.end().catch(options.onError);
    });
  start();

  return {
    send: async (channel, payload) =>
      void (await options.pool.query('SELECT pg_notify($1, $2)', [channel, payload])),
    close: async () => {
      closed = true;
      clearTimeout(retry);
      await client?.end();
    },
  };
}
