import type { Adapter } from './adapter.ts';
import { neutralHookEvent } from './event.ts';

const NONE: ReadonlySet<string> = new Set();

/** Any agent or script that can run a command: it sends the neutral event itself. */
export const adapter: Adapter = {
  event: (input) => neutralHookEvent(input, NONE),
  conversation: async () => [],
  recordsOpenCalls: false,
  readOnly: NONE,
};
