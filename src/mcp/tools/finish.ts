import { z } from 'zod';
import { unwrap } from '../../client/index.ts';
import { argumentsIn, type InSession } from '../sessions.ts';
import { type Caller, sessionOf, type Tool } from '../tool.ts';

const output = z.object({
  sessionId: z.string(),
  status: z.string(),
  next: z.string().describe('What to do now.'),
});

type Args = InSession & {
  outcome: 'completed' | 'failed' | 'cancelled';
  summary?: string | undefined;
};
type Data = z.infer<typeof output>;

export const finish = ({ sessions }: Caller): Tool<Args, Data> => ({
  name: 'finish',
  title: 'Finish the session',
  description: [
    'Ends the session for good: nobody resumes it. Call it once, as the last thing.',
    'outcome "completed": all of the objective is done and verified; its checkpoints are removed, so commit first. "failed": you cannot do it, and another attempt would not help. "cancelled": a directive asked for it, or the work is no longer wanted. If you only run out of time or context, do not call it: call checkpoint, and the work is resumed.',
  ].join('\n'),
  input: argumentsIn(sessions, {
    outcome: z.enum(['completed', 'failed', 'cancelled']).describe('How it ended; see above.'),
    summary: z
      .string()
      .optional()
      .describe('What was done, and why it ends so: a few sentences for a person.'),
  }),
  output,
  // Completed work loses its checkpoints. Said twice with the same outcome is said once.
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: true,
    openWorldHint: false,
  },
  async run({ outcome, summary, ...args }, call) {
    const { id, token } = sessionOf(call, args);
    const { status } = await unwrap(
      call.caller.api(token).POST('/api/sessions/{id}/finish', {
        params: { path: { id } },
        body: { outcome, summary },
        signal: call.signal,
      }),
    );
    sessions.ended();
    const next = 'The session is over. Change no more files for it.';
    return { sessionId: id, status, next };
  },
  text: ({ sessionId, status, next }) => `Session ${sessionId} is ${status}. ${next}`,
});
