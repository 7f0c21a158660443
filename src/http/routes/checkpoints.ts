import { Readable } from 'node:stream';
import { createRoute, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Deps } from '../../deps.ts';
import { AppError } from '../../errors.ts';
import { enqueueSessionRuns } from '../../jobs/submit.ts';
import { acceptCheckpoint, type CheckpointRequest } from '../../services/checkpoints/accept.ts';
import {
  checkpointOfRun,
  getCheckpoint,
  listCheckpointViews,
  noSuchCheckpoint,
  openBundle,
  readDiff,
} from '../../services/checkpoints/read.ts';
import { assertMayKeep } from '../../services/checkpoints/quota.ts';
import { keepUpload, receiveUpload } from '../../services/checkpoints/upload.ts';
import { noteSending } from '../../services/sessions/beat.ts';
import { toCheckpointView } from '../../services/checkpoints/view.ts';
import { countAhead, type Pressure } from '../../services/runs/pressure.ts';
import { getSession, isBefore, noSuchSession } from '../../services/sessions/read.ts';
import type { Principal } from '../../services/tokens/authenticate.ts';
import type { Session } from '../../db/schema.ts';
import { assertSession, mayReadSession } from '../auth.ts';
import type { AppEnv } from '../env.ts';
import { acceptedRun, DEFAULT_WAIT_SECONDS, holdOpen } from '../held-open.ts';
import { MAX_WAIT_SECONDS, parsePrefer } from '../prefer.ts';
import { invalidFields } from '../problem.ts';
import {
  bearer,
  createRouter,
  idParam,
  json,
  pageOf,
  pageQuery,
  problems,
  storableText,
} from '../validation.ts';
import {
  checkpointSchema,
  saveSchema,
  uploadMetaSchema,
  uploadSchema,
} from './checkpoint-schemas.ts';
import { acceptedSchema } from './schemas.ts';

const common = { tags: ['Checkpoints'], security: bearer };
const save = createRoute({
  ...common,
  method: 'post',
  path: '/sessions/{id}/checkpoints',
  operationId: 'saveCheckpoint',
  summary: 'Save the state of a session',
  description:
    'As JSON: the reasoning is stored and a worker on the host of the worktree captures it. As multipart: the ' +
    'caller captured the worktree itself and sends it as a git bundle. Held open until it is done, ' +
    `${DEFAULT_WAIT_SECONDS} s at most unless "Prefer: wait=N" (0 to ${MAX_WAIT_SECONDS}) or ` +
    '"Prefer: respond-async" says otherwise. For a session that has ended the answer is 409, and what ' +
    'was sent is kept all the same.',
  request: {
    params: idParam,
    headers: z.object({
      'idempotency-key': storableText(255).min(1).optional(),
      prefer: z.string().optional().openapi({ example: 'wait=10' }),
    }),
    body: {
      required: true,
      content: {
        'application/json': { schema: saveSchema },
        'multipart/form-data': { schema: uploadSchema },
      },
    },
  },
  responses: {
    201: json(checkpointSchema, 'Saved'),
    202: json(acceptedSchema, 'Accepted and not done yet: ask at Location.'),
    ...problems(400, 404, 409, 413),
  },
});

const list = createRoute({
  ...common,
  method: 'get',
  path: '/sessions/{id}/checkpoints',
  operationId: 'listCheckpoints',
  summary: 'List the checkpoints of a session, oldest first',
  request: { params: idParam, query: z.strictObject(pageQuery) },
  responses: { 200: json(pageOf(checkpointSchema), 'A page of checkpoints'), ...problems(404) },
});

const get = createRoute({
  ...common,
  method: 'get',
  path: '/checkpoints/{id}',
  operationId: 'getCheckpoint',
  summary: 'Read a checkpoint',
  request: { params: idParam },
  responses: { 200: json(checkpointSchema, 'The checkpoint'), ...problems(404) },
});

const bundle = createRoute({
  ...common,
  method: 'get',
  path: '/checkpoints/{id}/bundle',
  operationId: 'getCheckpointBundle',
  summary: 'Download the git bundle that holds a checkpoint',
  description:
    "Its ref is the session's checkpoint branch; the checkpoint's commit is that ref or an ancestor.",
  request: { params: idParam },
  responses: {
    200: {
      description: 'The bundle',
      content: { 'application/octet-stream': { schema: z.string() } },
    },
    ...problems(404),
  },
});

const diff = createRoute({
  ...common,
  method: 'get',
  path: '/checkpoints/{id}/diff',
  operationId: 'getCheckpointDiff',
  summary: 'Read what was uncommitted, as a patch; cut off after 512 KiB',
  request: { params: idParam },
  responses: {
    200: { description: 'The patch', content: { 'text/x-diff': { schema: z.string() } } },
    ...problems(404),
  },
});

export function checkpointRoutes(deps: Deps, pressure: Pressure) {
  const { db } = deps;
  const router = createRouter();

  /** A session's token also reads the attempts before it: it goes on from them. */
  const mayRead = async (principal: Principal, session: Session): Promise<boolean> =>
    mayReadSession(principal, session) ||
    (principal.scope === 'session' && (await isBefore(db, principal.sessionId, session)));

  const readable = async (c: Context<AppEnv>, id: string) => {
    const found = await getCheckpoint(db, id);
    if (await mayRead(c.get('principal'), found.session)) return found;
    throw noSuchCheckpoint(id);
  };

  // Not by the router's own validation: that would hold a bundle in memory to look at it.
  router.openAPIRegistry.registerPath({ ...save, path: save.path });
  router.post('/sessions/:id/checkpoints', async (c) => {
    const { id } = parse('param', z.object({ id: idParam.shape.id }), c.req.param());
    assertSession(c.get('principal'), id);
    const prefer = parsePrefer(c.req.header('prefer'));
    const { 'idempotency-key': idempotencyKey } = parse('header', save.request.headers, {
      'idempotency-key': c.req.header('idempotency-key'),
    });
    await pressure.check('sessions');
    const session = await getSession(db, id);
    const agent = { id: session.agent_id, name: session.agent_name };
    const limit = deps.config.maxQueuedPerAgent;
    const ahead = await countAhead(db, agent, 'checkpoint', { limit, idempotencyKey });
    const { quota } = deps.config.checkpoints;
    await assertMayKeep(db, session, quota, { isUpload: isUpload(c), idempotencyKey });
    const { runId, dispatch } = await read(c, session, (input, fingerprint) =>
      acceptCheckpoint(db, { session, input, idempotencyKey, fingerprint }),
    );
    if (dispatch) enqueueSessionRuns(deps, [{ ...dispatch, ahead }]);
    const created = dispatch !== undefined;
    const run = await holdOpen(c, deps.waiters, { id: runId, created }, prefer);
    if (run) return c.json(await checkpointOfRun(db, session, run), 201);
    return c.json(acceptedRun(c, runId, session.agent_name), 202);
  });

  type Accept<T> = (input: CheckpointRequest['input'], fingerprint: string) => Promise<T>;

  /** Reads either form of the body. */
  async function read<T>(c: Context<AppEnv>, session: Session, accept: Accept<T>): Promise<T> {
    const contentType = c.req.header('content-type') ?? '';
    if (!isUpload(c)) {
      const { capture, ...said } = parse('json', saveSchema, await jsonOf(c));
      const input = { ...said, ...(capture === false && { capture }) };
      return await accept(input, JSON.stringify(input));
    }
    const { body } = c.req.raw;
    if (!body) throw new AppError('malformed', 'The upload has no body.');
    const { dataDir, checkpoints } = deps.config;
    const { maxBundleBytes } = checkpoints;
    await noteSending(db, session.id);
    return await receiveUpload({ body, contentType, dataDir, maxBundleBytes }, async (upload) => {
      const { reasoning, trigger, turn, ...meta } = parse(
        'meta',
        uploadMetaSchema,
        parseJson(upload.meta, 'meta'),
      );
      const bundleId = await keepUpload(db, session.id, upload);
      const input = {
        trigger,
        ...(reasoning && { reasoning }),
        ...(turn !== undefined && { turn }),
        upload: { ...meta, bundleId },
      };
      return await accept(input, `${upload.sha256} ${upload.meta}`);
    });
  }

  return router
    .openapi(list, async (c) => {
      const session = await getSession(db, c.req.valid('param').id);
      if (!(await mayRead(c.get('principal'), session))) throw noSuchSession(session.id);
      return c.json(await listCheckpointViews(db, session, c.req.valid('query')), 200);
    })
    .openapi(get, async (c) => {
      const { checkpoint, session } = await readable(c, c.req.valid('param').id);
      return c.json(toCheckpointView(checkpoint, session), 200);
    })
    .openapi(bundle, async (c) => {
      const { checkpoint } = await readable(c, c.req.valid('param').id);
      const { bytes, chunks } = await openBundle(db, checkpoint);
      const body = Readable.toWeb(Readable.from(chunks)) as ReadableStream;
      return c.body(body, 200, {
        'Content-Type': 'application/octet-stream',
        'Content-Length': String(bytes),
        'Content-Disposition': `attachment; filename="${checkpoint.id}.bundle"`,
      });
    })
    .openapi(diff, async (c) => {
      const { checkpoint } = await readable(c, c.req.valid('param').id);
      const patch = await readDiff(db, checkpoint);
      return c.body(new Uint8Array(patch), 200, { 'Content-Type': 'text/x-diff; charset=utf-8' });
    });
}

/** A bundle may be larger than any other body; it is streamed, under a limit of its own. */
export function isUpload(c: Context<AppEnv>): boolean {
  const type = c.req.header('content-type') ?? '';
  return c.req.path.endsWith('/checkpoints') && type.startsWith('multipart/form-data');
}

function parse<T extends z.ZodType>(target: string, schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  const large = issues.find(
    (issue) => issue.code === 'custom' && issue.params?.['code'] === TOO_LARGE,
  );
  if (large) throw new AppError(TOO_LARGE, `${large.path.join('.')}: ${large.message}`);
  throw invalidFields(target, issues);
}

const TOO_LARGE = 'too_large';

async function jsonOf(c: Context<AppEnv>): Promise<unknown> {
  if (!(c.req.header('content-type') ?? '').startsWith('application/json')) {
    throw new AppError(
      'malformed',
      'Send "Content-Type: application/json", or multipart/form-data with a bundle.',
    );
  }
  const bytes = await c.req.arrayBuffer();
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes), 'body');
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('malformed', 'The body is not UTF-8.', { cause: error });
  }
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('malformed', `The ${what} is not JSON.`, { cause });
  }
}
