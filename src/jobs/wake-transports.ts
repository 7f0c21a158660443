import { Redis } from 'ioredis';
import type { Pool } from 'pg';
import { createNotifier, MAX_NOTIFY_BYTES } from '../db/notify.ts';
import type { WakeTransport } from './wakeups.ts';

export type TransportOptions = {
  /** This process; others send to it by this name. */
  instance: string;
  onWake: (runIds: string[]) => void;
  onError: (error: Error) => void;
};

const UUID_AND_COMMA = 37;
const CHUNK = Math.floor(MAX_NOTIFY_BYTES / UUID_AND_COMMA);

/** Over LISTEN and NOTIFY, where there is no Redis. */
export function postgresTransport(
  options: TransportOptions & { url: string; pool: Pool },
): WakeTransport {
  const notifier = createNotifier({
    url: options.url,
    pool: options.pool,
    channel: channelOf(options.instance),
    retryMs: 1000,
    onMessage: (payload) => options.onWake(payload.split(',')),
    onError: options.onError,
  });
  return {
    send: async (origin, runIds) => {
      for (let at = 0; at < runIds.length; at += CHUNK) {
        await notifier.send(channelOf(origin), runIds.slice(at, at + CHUNK).join(','));
      }
    },
    close: () => notifier.close(),
  };
}

/** Over publish and subscribe of Redis. */
export function redisTransport(options: TransportOptions & { redisUrl: string }): WakeTransport {
  const publisher = new Redis(options.redisUrl, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
  });
  const subscriber = new Redis(options.redisUrl, { maxRetriesPerRequest: null });
  publisher.on('error', options.onError);
  subscriber.on('error', options.onError);
  subscriber.on('message', (_channel, payload) => options.onWake(payload.split(',')));
  void subscriber.subscribe(channelOf(options.instance)).catch(options.onError);
  return {
    send: async (origin, runIds) =>
      void (await publisher.publish(channelOf(origin), runIds.join(','))),
    close: () => {
      publisher.disconnect();
      subscriber.disconnect();
      return Promise.resolve();
    },
  };
}

const channelOf = (instance: string): string => `defib_wake_${instance}`;
