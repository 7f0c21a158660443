import { z } from '@hono/zod-openapi';
import { agentNameSchema, timestamp } from '../validation.ts';

export const directiveSchema = z
  .object({
    type: z.enum(['cancel', 'checkpoint', 'stop']),
    sessionId: z.uuid(),
    reason: z.string(),
  })
  .openapi('Directive');

export const runSchema = z
  .object({
    id: z.uuid(),
    agentName: agentNameSchema,
    kind: z.enum(['heartbeat', 'checkpoint', 'resume', 'prune']),
    sessionId: z.uuid().nullable(),
    status: z.enum(['queued', 'running', 'ok', 'warning', 'error']),
    summary: z.string(),
    warnings: z.array(z.string()),
    errors: z.array(z.string()),
    touchedIssueUrls: z.array(z.string()),
    directives: z.array(directiveSchema),
    nextHeartbeatSeconds: z.number().int().nullable(),
    steps: z.array(
      z.object({
        name: z.string(),
        status: z.enum(['ok', 'warning', 'error', 'skipped']),
        durationMs: z.number().int(),
      }),
    ),
    queuedAt: timestamp,
    startedAt: timestamp.nullable(),
    finishedAt: timestamp.nullable(),
  })
  .openapi('AgentRun');

export const heartbeatSchema = z
  .object({
    status: z.enum(['ok', 'warning', 'error']),
    agentName: agentNameSchema,
    startedAt: timestamp,
    finishedAt: timestamp,
    summary: z.string(),
    warnings: z.array(z.string()),
    errors: z.array(z.string()),
    touchedIssueUrls: z.array(z.string()),
    runId: z.uuid(),
    directives: z.array(directiveSchema),
    nextHeartbeatSeconds: z.number().int(),
  })
  .openapi('AgentHeartbeatResponse');

export const acceptedSchema = z
  .object({ runId: z.uuid(), agentName: agentNameSchema, location: z.string() })
  .openapi('AcceptedRun');
