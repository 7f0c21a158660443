import { z } from '@hono/zod-openapi';
import { causeSchema } from '../../contract/cause.ts';
import { resultSchema } from '../../contract/result.ts';
import { placeSchema } from '../../contract/place.ts';
import { setupSchema } from '../../contract/setup.ts';
import { placeholderProblem } from '../../services/spawners/placeholders.ts';
import { agentNameSchema, fullRepoNameSchema, storableText, timestamp } from '../validation.ts';
import { directiveSchema } from './schemas.ts';

export const sessionStatus = z.enum([
  'pending',
  'starting',
  'running',
  'completed',
  'failed',
  'cancelled',
  'timed_out',
  'interrupted',
]);

export const sessionSchema = z
  .object({
    id: z.uuid(),
    agentName: agentNameSchema,
    status: sessionStatus,
    attempt: z.number().int(),
    rootId: z.uuid(),
    resumedFrom: z.uuid().nullable(),
    objective: z.string(),
    repo: z.string().nullable(),
    issueUrl: z.string().nullable(),
    worktree: z.string().nullable(),
    host: z.string().nullable(),
    branch: z.string().nullable(),
    turn: z.number().int().nullable(),
    leaseExpiresAt: timestamp.nullable(),
    deadlineAt: timestamp.nullable(),
    checkpointBranch: z.string(),
    latestCheckpointId: z.uuid().nullable(),
    needsAttention: z.boolean(),
    endReason: z.string().nullable(),
    cause: causeSchema.nullable(),
    waitingFor: z.string().nullable().openapi({
      description: 'What it waits for that is pending, or has ended and is to be resumed.',
      example: 'claim',
    }),
    waitingUntil: timestamp.nullable(),
    result: resultSchema.nullable().openapi({
      description: 'Of a completed session: where its work is, and until when it is kept.',
    }),
    summary: z.string().nullable(),
    startedAt: timestamp.nullable(),
    endedAt: timestamp.nullable(),
  })
  .openapi('Session');

export const sessionWithAttemptsSchema = sessionSchema
  .extend({
    attempts: z.array(sessionSchema),
    setup: setupSchema.nullable().openapi({
      description: "What a new worktree for it needs, by its agent's policy.",
    }),
  })
  .openapi('SessionWithAttempts');

export const startedSchema = z
  .object({ session: sessionSchema, token: z.string() })
  .openapi('StartedSession');

export const claimedSchema = startedSchema
  .extend({ continuation: z.string() })
  .openapi('ClaimedSession');

export const absolutePath = storableText(4096).startsWith('/', 'must be an absolute path');
const turn = z.number().int().min(0).max(1_000_000_000);
const seconds = z.number().int().min(1).max(604_800);

/** Its shape is that of `contract/takeover.ts`. */
const takeoverSchema = z
  .strictObject({
    command: z
      .array(storableText(32_768))
      .min(1)
      .max(200)
      .superRefine((command, context) => {
        const problem = placeholderProblem(command);
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
      }),
    host: storableText(255).min(1),
    cwd: absolutePath,
    stateDir: absolutePath,
    path: storableText(32_768),
  })
  .openapi({
    description:
      'An operator only: how a worker of that host goes on where the supervisor of this session, or of one that follows it, dies.',
  });

export const startSchema = z
  .strictObject({
    objective: storableText(20_000).min(1, 'must say what the work is'),
    repo: fullRepoNameSchema.optional(),
    worktree: absolutePath.optional(),
    host: storableText(255).min(1).optional(),
    branch: storableText(255).min(1).optional(),
    issueUrl: z
      .url({ protocol: /^https?$/, message: 'must be an http(s) URL' })
      .max(2000)
      .optional(),
    timeoutSeconds: seconds.optional(),
    leaseSeconds: seconds.min(5, 'must be at least 5').optional(),
    turn: turn.optional(),
    takeover: takeoverSchema.optional(),
  })
  .openapi('StartSession');

export const claimSchema = z
  .strictObject({
    host: storableText(255).min(1).optional(),
    worktree: absolutePath.optional(),
    sessionId: z.uuid('must be a UUID').optional().openapi({
      description:
        'The waiting session to take. Without it, and without `resumedFrom`, the oldest.',
    }),
    resumedFrom: z.uuid('must be a UUID').optional().openapi({
      description:
        'The ended session whose next attempt to take, also while that is reserved for the supervisor of the ended one.',
    }),
  })
  .refine(({ sessionId, resumedFrom }) => sessionId === undefined || resumedFrom === undefined, {
    path: ['resumedFrom'],
    error: 'cannot be together with sessionId',
  })
  .openapi('ClaimSession');

export const beatSchema = z
  .strictObject({
    turn: turn.optional(),
    note: storableText(4000).optional(),
    host: storableText(255).min(1).optional().openapi({
      description: 'Where the session is worked on from now, with `worktree`; without it, in none.',
    }),
    worktree: absolutePath.optional(),
    place: placeSchema.optional().openapi({
      description:
        'What the worktree is to that of the attempt before: the same, a `git worktree` of its repository, or a clone.',
    }),
  })
  .refine(({ place, worktree }) => place === undefined || worktree !== undefined, {
    path: ['place'],
    error: 'needs the worktree that it is about',
  })
  .refine(({ host, worktree }) => worktree === undefined || host !== undefined, {
    path: ['worktree'],
    error: 'needs the host that it is on',
  })
  .openapi('SessionBeat');

export const beatAnswerSchema = z
  .object({
    status: sessionStatus,
    now: timestamp,
    leaseExpiresAt: timestamp,
    deadlineAt: timestamp.nullable(),
    directives: z.array(directiveSchema),
    nextHeartbeatSeconds: z.number().int(),
  })
  .openapi('SessionBeatAnswer');

export const finishSchema = z
  .strictObject({
    outcome: z.enum(['completed', 'failed', 'cancelled']),
    summary: storableText(20_000).optional(),
  })
  .openapi('FinishSession');

export const interruptSchema = z
  .strictObject({
    reason: storableText(1000).min(1, 'must say why'),
    goesOn: z.boolean().optional().openapi({
      description:
        'The caller saved all there is and goes on itself: the next attempt is kept for its claim (`resumedFrom`) for 45 seconds, then for everybody.',
    }),
  })
  .openapi('InterruptSession');

export const resumeSchema = z
  .strictObject({
    checkpoint: z.number().int().min(1).max(1_000_000_000).optional().openapi({
      description: 'The number of the checkpoint to go on from. Default: the newest.',
    }),
    extraBudget: z.number().int().min(0).max(100).optional().openapi({
      description:
        "How often the work may be resumed by itself after this. Default: the policy's resumeBudget.",
    }),
  })
  .openapi('ResumeSession');

export const cancelSchema = z
  .strictObject({ reason: storableText(1000).min(1, 'must say why').optional() })
  .openapi('CancelSession');

export const dismissSchema = z
  .strictObject({
    brought: z.boolean().optional().openapi({
      description: 'Whether its result is where it belongs, so that it need be kept no longer.',
    }),
  })
  .openapi('DismissSession');
