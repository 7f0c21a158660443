import type { Log } from '../log.ts';
import type { Principal } from '../services/tokens/authenticate.ts';

/** What the middleware leaves for the handlers. */
export type AppEnv = {
  Variables: {
    requestId: string;
    log: Log;
    /** Set for everything below /api. */
    principal: Principal;
  };
};
