import { z } from 'zod';

const time = z.iso.datetime();
const session = { sessionId: z.uuid(), agentName: z.string() };

/** What a person at the wheel asks first: who works, what waits, and what wants a hand. */
export const statusSchema = z.object({
  /** Newest sign first. One is live while its workers say so. */
  hosts: z.array(z.object({ host: z.string(), live: z.boolean(), lastSeenAt: time })),
  /** Those that are not over, and those that began within the last day. */
  sessions: z.object({
    byStatus: z.record(z.string(), z.number().int()),
    byEndReason: z.record(z.string(), z.number().int()),
  }),
  /** Ready to be gone on with, by whoever takes them up. Oldest first. */
  waiting: z.array(z.object({ ...session, since: time, verb: z.string() })),
  /** Nothing happens here before a person acts: `defib <verb> <sessionId>`. Newest first. */
  needsAttention: z.array(z.object({ ...session, reason: z.string(), verb: z.string() })),
  /** Finished work that is on no remote yet, nor brought home. */
  results: z.array(
    z.object({
      ...session,
      state: z.enum(['committed', 'uncommitted']),
      host: z.string().nullable(),
      worktree: z.string().nullable(),
      branch: z.string().nullable(),
      head: z.string().nullable(),
      filesChanged: z.number().int().nullable(),
      keptUntil: time.nullable(),
    }),
  ),
});

export type Status = z.infer<typeof statusSchema>;
