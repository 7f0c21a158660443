import { z } from 'zod';
import { unwrap } from '../../client/index.ts';
import { directives, orders } from '../directives.ts';
import { argumentsIn, type InSession } from '../sessions.ts';
import { agentOf, type Call, type Caller, sessionOf, type Tool } from '../tool.ts';

const output = z.object({
  status: z
    .string()
    .describe('Of the session, such as "running"; or of the pass: ok, warning, error or accepted.'),
  nextHeartbeatSeconds: z.int().min(1).nullable().describe('Call again within so many seconds.'),
  directives: directives.describe('What the server wants of you. Obey it.'),
  next: z.string().describe('What to do now.'),
  leaseExpiresAt: z.string().optional().describe('Silent until then, you are taken for dead.'),
  deadlineAt: z.string().nullable().optional().describe('The session ends then, whatever you do.'),
  runId: z.string().optional().describe('The record of the pass.'),
  summary: z.string().optional(),
  warnings: z.array(z.string()).optional(),
  errors: z.array(z.string()).optional().describe('Each says what to do about it.'),
  touchedIssueUrls: z.array(z.string()).optional().describe('Issues that changed.'),
});

type Args = InSession & { turn?: number | undefined; note?: string | undefined };
type Data = z.infer<typeof output>;

export const heartbeat = ({ agent, sessions }: Caller): Tool<Args, Data> => ({
  name: 'heartbeat',
  title: 'Heartbeat',
  description: [
    'Tells Defib that you are alive, and returns what it wants of you. Call it between steps, within nextHeartbeatSeconds of the last reply, and before anything that takes long: a session that stays silent for longer than its lease is taken for dead and given to another agent.',
    'Obey the directives in the reply: on "cancel" or "stop", stop working and call finish; on "checkpoint", call checkpoint.',
    ...(agent
      ? [
          'Without a session it makes a recorded pass for the agent instead: it synchronises and reconciles issues and tells which changed. That takes seconds.',
        ]
      : []),
  ].join('\n'),
  input: argumentsIn(sessions, {
    turn: z.int().min(0).optional().describe('How many turns you have taken, if you count them.'),
    note: z
      .string()
      .optional()
      .describe('Where you stand, in a sentence: "tests pass, docs are left".'),
  }),
  output,
  annotations: {
    readOnlyHint: false,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
  run: async (args, call) =>
    sessions.find(args) ? await beat(args, call) : await pass(args, call),
  text: ({ status, summary, warnings = [], errors = [], next }) =>
    [`${status}${summary ? `: ${summary}` : ''}`, ...errors, ...warnings, next].join('\n'),
});

async function beat({ turn, note, ...args }: Args, call: Call): Promise<Data> {
  const { id, token } = sessionOf(call, args);
  const beaten = await unwrap(
    call.caller.api(token).POST('/api/sessions/{id}/heartbeat', {
      params: { path: { id } },
      body: { turn, note },
      signal: call.signal,
    }),
  );
  const usual = `Go on working. Call heartbeat again within ${beaten.nextHeartbeatSeconds} s.`;
  return { ...beaten, next: orders(beaten.directives, usual) };
}

/** The recorded pass of an agent; one that takes too long goes on without us. */
async function pass({ turn, note }: Args, call: Call): Promise<Data> {
  const { name: agentName, token } = agentOf(call);
  const ran = await unwrap(
    call.caller.api(token).POST('/api/agents/{agentName}/heartbeat', {
      params: { path: { agentName } },
      body: { turn, note },
      signal: call.signal,
    }),
  );
  if (!('status' in ran)) {
    const next = 'The pass goes on without you. Go on working.';
    return {
      status: 'accepted',
      nextHeartbeatSeconds: null,
      directives: [],
      runId: ran.runId,
      next,
    };
  }
  const { agentName: _, startedAt: __, finishedAt: ___, ...data } = ran;
  const usual = `Call heartbeat again within ${data.nextHeartbeatSeconds} s.`;
  return { ...data, next: orders(data.directives, usual) };
}
