import { randomBytes } from 'node:crypto';
import { openHost } from '../host/open.ts';
import { createHttpClient } from './http-client.ts';
import { expectAnswer, passOf } from './pass.ts';
import type { Contender } from './types.ts';

/** The same contender behind HTTP with a bearer token, in a process of its own, as Defib is. */
export function overHttp(contender: Contender): Contender {
  return {
    name: `${contender.name}-http`,
    title: contender.title,
    access: 'HTTP + token',
    start: async (context) => {
      const host = await openHost(contender.name, context, new AbortController().signal);
      const token = randomBytes(32).toString('base64url');
      const client = createHttpClient(await host.listen(token), context.concurrency);
      const headers = { authorization: `Bearer ${token}` };
      return {
        call: async (i) => {
          const { body } = await client.send('POST', '/', headers, passOf(i));
          return expectAnswer(body, i);
        },
        recorded: async () => (await host.recorded()) ?? 0,
        stop: async () => {
          client.close();
          await host.stop();
        },
      };
    },
  };
}
