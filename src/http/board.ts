import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { HonoAdapter } from '@bull-board/hono';
import { serveStatic } from '@hono/node-server/serve-static';
import type { Queue } from 'bullmq';
import { Hono } from 'hono';

const BASE_PATH = '/admin/queues';

const namesOf = (queues: Queue[]) => queues.map(({ name }) => name).join('\n');
const wrap = (queues: Queue[]) => queues.map((queue) => new BullMQAdapter(queue));

/**
 * Bull Board, where operators watch the queues. Mounted behind the operators' sign-in.
 *
 * @param options.list every queue that there is now: hosts, and their queues, come and go
 */
export function boardRoutes(options: { queues: Queue[]; list: () => Promise<Queue[]> }): Hono {
  const adapter = new HonoAdapter(serveStatic);
  const board = createBullBoard({
    queues: wrap(options.queues),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'Defib queues' } },
  });
  adapter.setBasePath(BASE_PATH);
  const routes = new Hono();
  let shown = namesOf(options.queues);
  routes.use(async (_c, next) => {
    const queues = await options.list();
    if (namesOf(queues) !== shown) board.replaceQueues(wrap(queues));
    shown = namesOf(queues);
    await next();
  });
  return routes.route('/', adapter.registerPlugin());
}
