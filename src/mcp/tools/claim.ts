import { z } from 'zod';
import { unwrap } from '../../client/index.ts';
import { ADDS, agentOf, type Caller, type Tool } from '../tool.ts';
import { inWords, open, opened } from './opened.ts';

const input = z.strictObject({
  host: z.string().optional().describe('Name of the machine that you work on.'),
  worktree: z
    .string()
    .optional()
    .describe('Absolute path of your own worktree, if you do not go on in the restored one.'),
});
const output = z.object({
  claimed: z.boolean().describe('False: nothing waits.'),
  ...opened,
  continuation: z.string().optional().describe('The prompt to go on from, in Markdown.'),
  next: z.string().describe('What to do now.'),
});

type Data = z.infer<typeof output>;

export const claim = ({ place }: Caller): Tool<z.infer<typeof input>, Data> => ({
  name: 'claim',
  title: 'Claim interrupted work',
  description:
    'Takes over the next session of this agent whose process died, if one waits: with the prompt to go on from and the folder that its files were restored to. Call it before start_session. Follow the continuation: verify the tool calls of unknown outcome first, and do not start over.',
  input,
  output,
  annotations: ADDS,
  async run(asked, call) {
    const { name: agentName, token: agentToken } = agentOf(call);
    call.caller.sessions.assertNoneOpen();
    const claimed = await unwrap(
      call.caller.api(agentToken).POST('/api/agents/{agentName}/claim', {
        params: { path: { agentName } },
        body: { host: place.host, ...asked },
        signal: call.signal,
      }),
    );
    if (!claimed) {
      const next = 'Nothing waits to be resumed. Call start_session to begin work of your own.';
      return { claimed: false, next };
    }
    const { session, token, continuation } = claimed;
    const next = 'Call heartbeat now, then do what the continuation says under "Now".';
    return { claimed: true, ...open(call.caller, session, token), continuation, next };
  },
  text: (data) =>
    data.claimed ? [...inWords(data), data.next, '', data.continuation].join('\n') : data.next,
});
