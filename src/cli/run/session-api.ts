import { openAsBlob } from 'node:fs';
import {
  type Client,
  createClient,
  DefibError,
  type SessionWithAttempts,
  unwrap,
} from '../../client/index.ts';
import type { components } from '../../client/index.ts';
import type { CheckpointEntry, EndEntry } from './outbox.ts';

export type BeatAnswer = components['schemas']['SessionBeatAnswer'];
export type Checkpoint = components['schemas']['Checkpoint'];
export type BeatBody = components['schemas']['SessionBeat'];

const SHORT_MS = 10_000;
/** A large bundle over a slow line. */
const UPLOAD_MS = 15 * 60_000;
const WAIT_SECONDS = 60;

/** What a session's own token may do, each one call. They throw DefibError. */
export type SessionApi = {
  read(): Promise<SessionWithAttempts>;
  checkpoints(): Promise<Checkpoint[]>;
  /** The prompt that it goes on from. */
  continuation(): Promise<string>;
  beat(body: BeatBody): Promise<BeatAnswer>;
  /** Resolves once the checkpoint is recorded: from then on it is safe. */
  save(entry: CheckpointEntry, bundle?: string): Promise<void>;
  end(entry: EndEntry): Promise<void>;
};

export function sessionApi({
  url,
  token,
  id,
}: {
  url: string;
  token: string;
  id: string;
}): SessionApi {
  const client = createClient({ url, token });
  const path = { id };
  return {
    read: () => unwrap(client.GET('/api/sessions/{id}', { params: { path }, ...within(SHORT_MS) })),
    checkpoints: async () => {
      const call = { params: { path }, ...within(SHORT_MS) };
      return (await unwrap(client.GET('/api/sessions/{id}/checkpoints', call))).items;
    },
    continuation: () =>
      unwrap(
        client.GET('/api/sessions/{id}/continuation', {
          params: { path },
          headers: { Accept: 'text/markdown' },
          parseAs: 'text',
          ...within(SHORT_MS),
        }),
      ),
    beat: (body) =>
      unwrap(
        client.POST('/api/sessions/{id}/heartbeat', {
          params: { path },
          body,
          ...within(SHORT_MS),
        }),
      ),
    save: (entry, bundle) => save(client, id, entry, bundle),
    end: async (entry) => {
      const { kind, ...body } = entry;
      const call = { params: { path }, ...within(2 * SHORT_MS) };
      await unwrap(
        kind === 'finish'
          ? client.POST('/api/sessions/{id}/finish', { ...call, body: body as FinishBody })
          : client.POST('/api/sessions/{id}/interrupt', { ...call, body: body as InterruptBody }),
      );
    },
  };
}

type FinishBody = components['schemas']['FinishSession'];
type InterruptBody = components['schemas']['InterruptSession'];

const within = (ms: number) => ({ signal: AbortSignal.timeout(ms) });

async function save(
  client: Client,
  id: string,
  entry: CheckpointEntry,
  bundle: string | undefined,
): Promise<void> {
  const { key, trigger, turn, reasoning, files } = entry;
  const said = { trigger, turn, ...(reasoning && { reasoning }) };
  const header = { 'idempotency-key': key, prefer: `wait=${WAIT_SECONDS}` };
  const call = { params: { path: { id }, header }, ...within(UPLOAD_MS) };
  let answer: object;
  if (files && bundle !== undefined) {
    const form = new FormData();
    const meta = JSON.stringify({ ...said, ...files });
    form.set('meta', meta);
    // Backed by the file, which is read as it is sent.
    form.set('bundle', await openAsBlob(bundle), 'checkpoint.bundle');
    answer = await unwrap(
      client.POST('/api/sessions/{id}/checkpoints', {
        ...call,
        body: { meta, bundle },
        bodySerializer: () => form,
      }),
    );
  } else {
    answer = await unwrap(
      client.POST('/api/sessions/{id}/checkpoints', { ...call, body: { ...said, capture: false } }),
    );
  }
  if ('runId' in answer) await settled(client, String(answer.runId));
}

/** Waits for a checkpoint that takes longer than one answer is held open. */
async function settled(client: Client, runId: string): Promise<void> {
  const header = { prefer: `wait=${WAIT_SECONDS}` };
  for (;;) {
    const run = await unwrap(
      client.GET('/api/runs/{id}', {
        params: { path: { id: runId }, header },
        ...within(2 * WAIT_SECONDS * 1000),
      }),
    );
    if (run.finishedAt === null) continue;
    const [error] = run.errors;
    if (run.status === 'error') {
      throw new DefibError({ code: 'invalid', status: 422, detail: error ?? run.summary });
    }
    return;
  }
}
