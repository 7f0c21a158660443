import { z } from '@hono/zod-openapi';
import { storableText, timestamp } from '../validation.ts';
import { reasoning } from './continuation-schema.ts';

const notCaptured = z.array(z.object({ path: z.string(), reason: z.string() }));

export const checkpointSchema = z
  .object({
    id: z.uuid(),
    sessionId: z.uuid(),
    number: z.number().int(),
    trigger: z.string(),
    turn: z.number().int().nullable(),
    createdAt: timestamp,
    head: z.string().nullable(),
    commit: z.string().nullable(),
    tree: z.string().nullable(),
    branch: z.string(),
    durability: z.enum(['local', 'stored', 'pushed']),
    filesChanged: z.number().int().nullable(),
    reasoning: reasoning.nullable(),
    notCaptured,
    warnings: z.array(z.string()),
    late: z.boolean(),
    baseUrl: z.string().nullable(),
    prunedAt: timestamp.nullable(),
  })
  .openapi('Checkpoint');

const trigger = storableText(100)
  .min(1, 'must say what led to the checkpoint')
  .openapi({ example: 'turn' });
const turn = z.number().int().min(0).max(1_000_000_000).optional();

export const saveSchema = z
  .strictObject({
    reasoning: reasoning.optional(),
    trigger,
    turn,
    capture: z.boolean().optional().openapi({
      description:
        "false: no worker captures the worktree. The files stay as the session's last checkpoint has them, for who sends bundles and has only new reasoning.",
    }),
  })
  .openapi('SaveCheckpoint');

const oid = z
  .string()
  .regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'must be a full object id in lower case');

/** The part `meta` of an upload. */
export const uploadMetaSchema = z
  .strictObject({
    reasoning: reasoning.optional(),
    trigger,
    turn,
    commit: oid,
    baseUrl: storableText(2000).min(1).optional(),
    notCaptured: z
      .array(z.strictObject({ path: storableText(8192), reason: storableText(1000) }))
      .max(1000)
      .optional(),
    warnings: z.array(storableText(2000)).max(100).optional(),
  })
  .openapi('UploadCheckpoint');

/** As a multipart form shows in the document; the parts are read as they stream in. */
export const uploadSchema = z
  .object({
    meta: z.string().openapi({ description: 'JSON, as UploadCheckpoint' }),
    bundle: z.string().openapi({
      type: 'string',
      format: 'binary',
      description:
        'A git bundle with one ref, refs/heads/checkpoint/<agentName>/<sessionId>, at meta.commit',
    }),
  })
  .openapi('UploadCheckpointForm');
