import { z } from 'zod';
import { unwrap } from '../../client/index.ts';
import { type Reasoning, reasoningSchema } from '../../services/checkpoints/reasoning.ts';
import { argumentsIn, type InSession } from '../sessions.ts';
import { ADDS, type Caller, sessionOf, type Tool } from '../tool.ts';

/** What a model is told of each field; none may be without. */
const FIELDS: Record<keyof Reasoning, string> = {
  objective: 'What the work is, in your own words; the whole of it, not this step.',
  approach: 'How you go about it: the plan, and why this one.',
  decisions: 'What you decided and why, so that nobody decides it again.',
  done: 'What is finished and verified, one item each.',
  remaining: 'What is left to do, one item each, in order.',
  nextStep: 'The very next thing to do, so exact that another agent can begin with it.',
  openQuestions: 'What you do not know and somebody must answer.',
  pendingToolCalls:
    'Calls that began, or are about to begin, and have no result yet: their outcome is unknown to whoever resumes, who is told to verify it first. List a push, deploy or migration here before you make it.',
  transcriptTail: 'The last exchanges word for word, only where the exact words matter.',
};

const { shape } = reasoningSchema;

const output = z.object({
  saved: z.boolean().describe('False: accepted, and still being saved.'),
  next: z.string().describe('What to do now.'),
  runId: z.string().optional().describe('The record of the saving, while it goes on.'),
  checkpointId: z.string().optional(),
  number: z.int().min(1).optional().describe('1 for the first of the session.'),
  durability: z
    .enum(['local', 'stored', 'pushed'])
    .optional()
    .describe('On this machine; in the store of Defib; on a git remote.'),
  filesSaved: z.boolean().optional().describe('False: the reasoning alone was saved.'),
  filesChanged: z.int().min(0).nullable().optional(),
  notCaptured: z.array(z.object({ path: z.string(), reason: z.string() })).optional(),
  warnings: z.array(z.string()).optional(),
});

type Args = InSession & Reasoning & { trigger: string; turn?: number | undefined };
type Data = z.infer<typeof output>;

export const checkpoint = ({ sessions }: Caller): Tool<Args, Data> => ({
  name: 'checkpoint',
  title: 'Checkpoint',
  description: [
    'Saves what you know about your work, and the files of your worktree as they are now, without touching them: uncommitted and untracked files too. If you are cut off, another agent goes on from exactly this.',
    'Call it when you have a plan, after every milestone, before a call that is slow, risky or cannot be repeated, and when a directive asks for it. Each one replaces the last: fill in every field that still holds, not only what is new. Write for an agent that has seen nothing of this conversation.',
    'Secrets are taken out before anything is stored.',
  ].join('\n'),
  input: argumentsIn(sessions, {
    ...describeFields(),
    trigger: z
      .string()
      .default('agent')
      .describe('What led to it: plan, milestone, before-risky-call, directive, …'),
    turn: z.int().min(0).optional().describe('How many turns you have taken, if you count them.'),
  }),
  output,
  annotations: ADDS,
  async run({ trigger, turn, session, ...reasoning }, call) {
    const { id, token } = sessionOf(call, { session });
    const saved = await unwrap(
      call.caller.api(token).POST('/api/sessions/{id}/checkpoints', {
        params: { path: { id } },
        body: { reasoning, trigger, turn },
        signal: call.signal,
      }),
    );
    if (!('number' in saved)) {
      const next = 'It is being saved. Go on working.';
      return { saved: false, runId: saved.runId, next };
    }
    const {
      id: checkpointId,
      number,
      commit,
      durability,
      filesChanged,
      notCaptured,
      warnings,
    } = saved;
    const filesSaved = commit !== null;
    return {
      saved: true,
      checkpointId,
      number,
      durability,
      filesSaved,
      filesChanged,
      notCaptured,
      warnings,
      next: afterwards(filesSaved),
    };
  },
  text: ({ number, durability, notCaptured = [], warnings = [], next }) =>
    [
      ...(number === undefined ? [] : [`Checkpoint ${number} is saved (${durability}).`]),
      ...notCaptured.map(({ path, reason }) => `Not saved: ${path} (${reason})`),
      ...warnings,
      next,
    ].join('\n'),
});

const afterwards = (filesSaved: boolean): string =>
  filesSaved
    ? 'Go on working.'
    : 'Only what you wrote here was saved, not your files. Commit and push what must not be lost, or leave the files to the supervisor if you run under one. Go on working.';

function describeFields(): typeof shape {
  const fields = Object.entries(FIELDS) as [keyof Reasoning, string][];
  return Object.fromEntries(
    fields.map(([name, text]) => [name, shape[name].describe(text)]),
  ) as typeof shape;
}
