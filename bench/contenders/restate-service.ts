/**
 * The Restate service as a process of its own: prints the port that it listens on and serves
 * until its standard input ends or it gets a signal.
 */
import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createEndpointHandler, service } from '@restatedev/restate-sdk';
import type { Context } from '@restatedev/restate-sdk';
import { step } from './pass.ts';
import type { Pass, PassResult } from './types.ts';

const passes = service({
  name: 'passes',
  handlers: {
    run: async (context: Context, pass: Pass): Promise<PassResult> => {
      const { tick } = await context.run('step', () => step(pass));
      return { status: 'ok', tick };
    },
  },
});

const handler = createEndpointHandler({ services: [passes], logger: () => undefined });
const server = createServer(handler).listen(0, '127.0.0.1');
await once(server, 'listening');
process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
