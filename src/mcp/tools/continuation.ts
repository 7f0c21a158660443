import { z } from 'zod';
import { type components, unwrap } from '../../client/index.ts';
import { argumentsIn, type InSession } from '../sessions.ts';
import { type Caller, sessionOf, type Tool } from '../tool.ts';

const output = z.object({
  continuation: z.string().describe('The prompt to go on from, in Markdown.'),
  attempt: z.int().min(1).describe('1: nobody worked on it before you.'),
  worktree: z.string().nullable().describe('The folder that the work is in, where it is known.'),
  next: z.string().describe('What to do now.'),
});

type Data = z.infer<typeof output>;

export const continuation = ({ sessions }: Caller): Tool<InSession, Data> => ({
  name: 'continuation',
  title: 'Continuation prompt',
  description:
    'Returns what the session goes on from: objective, what earlier attempts did, decided and left, the state of the files, and tool calls whose outcome is unknown. Call it when you have taken a session over, or have lost your context. Verify the calls of unknown outcome before anything else, and never repeat one blindly.',
  input: argumentsIn(sessions, {}),
  output,
  annotations: { readOnlyHint: true, openWorldHint: false },
  async run(args, call) {
    const { id, token } = sessionOf(call, args);
    const answer = await unwrap(
      call.caller.api(token).GET('/api/sessions/{id}/continuation', {
        params: { path: { id } },
        headers: { Accept: 'application/json' },
        signal: call.signal,
      }),
    );
    const { continuation, current } = answer as components['schemas']['Continuation'];
    const { attempt, worktree } = current;
    return { continuation, attempt, worktree, next: 'Do what it says under "Now".' };
  },
  text: ({ continuation }) => continuation,
});
