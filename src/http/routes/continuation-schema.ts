import { z } from '@hono/zod-openapi';
import { placeSchema } from '../../contract/place.ts';
import { reasoningSchema } from '../../services/checkpoints/reasoning.ts';
import { timestamp } from '../validation.ts';
import { sessionStatus } from './session-schemas.ts';

export const reasoning = reasoningSchema.openapi('Reasoning');

const diffStat = z.object({
  files: z.array(
    z.object({
      path: z.string(),
      insertions: z.number().int(),
      deletions: z.number().int(),
      binary: z.boolean(),
    }),
  ),
  insertions: z.number().int(),
  deletions: z.number().int(),
});

export const continuationSchema = z
  .object({
    continuation: z.string().openapi({ description: 'The prompt, in Markdown' }),
    current: z.object({
      attempt: z.number().int(),
      objective: z.string(),
      repo: z.string().nullable(),
      issueUrl: z.string().nullable(),
      branch: z.string().nullable(),
      worktree: z.string().nullable(),
      place: placeSchema.nullable(),
    }),
    earlier: z.array(
      z.object({
        attempt: z.number().int(),
        status: sessionStatus,
        endReason: z.string().nullable(),
        summary: z.string().nullable(),
        note: z.string().nullable(),
        turn: z.number().int().nullable(),
        worktree: z.string().nullable(),
        startedAt: timestamp.nullable(),
        endedAt: timestamp.nullable(),
      }),
    ),
    checkpoint: z
      .object({
        number: z.number().int(),
        attempt: z.number().int(),
        sessionId: z.uuid(),
        createdAt: timestamp,
        branch: z.string(),
        commit: z.string().nullable(),
        head: z.string().nullable(),
        headBranch: z.string().nullable(),
        operation: z.string().nullable(),
        trigger: z.string(),
        durability: z.enum(['local', 'stored', 'pushed']),
        late: z.boolean(),
        reasoning: reasoning.nullable(),
        changes: z.object({ staged: diffStat, unstaged: diffStat }).nullable(),
        notCaptured: z.array(z.object({ path: z.string(), reason: z.string() })),
        warnings: z.array(z.string()),
      })
      .nullable(),
    restored: z
      .union([
        z.object({ worktree: z.string(), ok: z.boolean() }),
        z.object({ refused: z.string() }),
      ])
      .nullable(),
  })
  .openapi('Continuation');
