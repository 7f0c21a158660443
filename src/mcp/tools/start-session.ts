import { z } from 'zod';
import { unwrap } from '../../client/index.ts';
import { ADDS, agentOf, type Caller, type Tool } from '../tool.ts';
import { inWords, open, opened } from './opened.ts';

/** A model is silent while it thinks and while its tools run, which takes longer than a lease of programs. */
const LEASE_SECONDS = 600;

const seconds = z.int().min(1).max(604_800);

const input = z.strictObject({
  objective: z
    .string()
    .describe('What the work is: all that another agent needs to begin it from nothing.'),
  repo: z.string().optional().describe('The repository on GitHub, as "owner/name".'),
  issueUrl: z
    .string()
    .optional()
    .describe('The issue that this works on. It is claimed, so that no other agent takes it.'),
  worktree: z
    .string()
    .optional()
    .describe('Absolute path of the git worktree that you change. Needed to save your files.'),
  host: z.string().optional().describe('Name of the machine that the worktree is on.'),
  branch: z.string().optional().describe('The branch that you work on.'),
  timeoutSeconds: seconds.optional().describe('Hard limit of the session, if it has one.'),
  leaseSeconds: seconds
    .min(5)
    .default(LEASE_SECONDS)
    .describe(
      'After so many seconds without a heartbeat you are taken for dead. Longer than your longest tool call.',
    ),
});
const output = z.object({ ...opened, next: z.string().describe('What to do now.') });

type Data = z.infer<typeof output>;

export const startSession = ({ place }: Caller): Tool<z.infer<typeof input>, Data> => ({
  name: 'start_session',
  title: 'Start a session',
  description:
    'Starts a session: one attempt at a piece of work, which is then watched and, if you are cut off, resumed. Call it once before you begin, after claim has told that nothing waits. Refused with issue_claimed when another agent works on that issue.',
  input,
  output,
  annotations: ADDS,
  async run(asked, call) {
    const { name: agentName, token: agentToken } = agentOf(call);
    call.caller.sessions.assertNoneOpen();
    const { session, token } = await unwrap(
      call.caller.api(agentToken).POST('/api/agents/{agentName}/sessions', {
        params: { path: { agentName } },
        body: { ...place, ...asked },
        signal: call.signal,
      }),
    );
    const next = 'Call heartbeat now, then begin. Call checkpoint as soon as you have a plan.';
    return { ...open(call.caller, session, token), next };
  },
  text: (data) => [...inWords(data), data.next].join('\n'),
});
