import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { HonoAdapter } from '@bull-board/hono';
import { serveStatic } from '@hono/node-server/serve-static';
import type { Queue } from 'bullmq';
import type { Hono } from 'hono';

const BASE_PATH = '/admin/queues';

/** Bull Board, where operators watch the queues. Mounted behind the operators' sign-in. */
export function boardRoutes(queues: Queue[]): Hono {
  const adapter = new HonoAdapter(serveStatic);
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue)),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'Defib queues' } },
  });
  adapter.setBasePath(BASE_PATH);
  return adapter.registerPlugin();
}
