import { z } from 'zod';

/** Whom a token stands for. */
export const callerSchema = z.object({
  scope: z.enum(['operator', 'agent', 'session']),
  /** Null: the operator token of the service's environment. */
  tokenId: z.uuid().nullable(),
  /** Of an agent's and a session's token. */
  agentName: z.string().nullable(),
  sessionId: z.uuid().nullable(),
});

export type CallerView = z.infer<typeof callerSchema>;
