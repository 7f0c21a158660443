import { z } from 'zod';
import { causeSchema } from './cause.ts';
import { resultSchema } from './result.ts';

const time = z.iso.datetime();
const session = { sessionId: z.uuid(), agentName: z.string() };

/** What a person at the wheel asks first: who works, what waits, and what wants a hand. */
export const statusSchema = z.object({
  /** Newest sign first. One is live while its workers say so. */
  hosts: z.array(z.object({ host: z.string(), live: z.boolean(), lastSeenAt: time })),
  /** Those that are not over, and those that began within the last day. */
  sessions: z.object({
    byStatus: z.record(z.string(), z.number().int()),
    /** Of those that have ended. */
    byCause: z.partialRecord(causeSchema, z.number().int()),
  }),
  /** For what and until when; oldest first. `defib <verb> <sessionId>` moves it on; null: it goes on by itself. */
  waiting: z.array(
    z.object({
      ...session,
      for: z.string(),
      since: time,
      until: time.nullable(),
      verb: z.string().nullable(),
    }),
  ),
  /** Nothing happens here before a person acts: `defib <verb> <sessionId>`. Newest first. */
  needsAttention: z.array(z.object({ ...session, reason: z.string(), verb: z.string() })),
  /** Finished work that is on no remote yet, nor brought home. */
  results: z.array(
    z.object({
      ...session,
      ...resultSchema.shape,
      state: resultSchema.shape.state.exclude(['landed', 'none']),
    }),
  ),
});

export type Status = z.infer<typeof statusSchema>;
