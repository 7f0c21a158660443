import { z } from 'zod';

/** What the server wants of the agent. */
export const directives = z.array(
  z.object({
    type: z.enum(['cancel', 'checkpoint', 'stop']),
    sessionId: z.string(),
    reason: z.string(),
  }),
);

export type Directive = z.infer<typeof directives>[number];

const ORDERS: Record<Directive['type'], string> = {
  cancel:
    'Stop working now: the work is no longer wanted. Begin no further change, and call finish with outcome "cancelled".',
  stop: 'Stop working now. Call checkpoint with where you stand, then finish with outcome "cancelled".',
  checkpoint: 'Call checkpoint now, then go on working.',
};

/** What to do about directives, as an instruction to a model; what is usual when there are none. */
export function orders(directives: Directive[], usual: string): string {
  if (directives.length === 0) return usual;
  return directives.map(({ type, reason }) => `${ORDERS[type]} (${type}: ${reason})`).join('\n');
}
