import type { HttpBindings } from '@hono/node-server';
import type { Log } from '../log.ts';
import type { Principal } from '../services/tokens/authenticate.ts';

/** What the middleware leaves for the handlers. */
export type AppEnv = {
  Bindings: Partial<HttpBindings> & {
    /** The request is a part of one that the rate limit has counted. Nothing from outside can say so. */
    counted?: true;
  };
  Variables: {
    requestId: string;
    log: Log;
    /** Set for everything below /api, and for /mcp. */
    principal: Principal;
  };
};
