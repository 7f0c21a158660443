import { serve } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { AddressInfo } from 'node:net';
import { anthropic } from './anthropic.ts';
import { chat } from './chat.ts';
import { gemini } from './gemini.ts';
import { responses } from './responses.ts';
import type { Dialect, Json, ModelRequest, Turn } from './turn.ts';

export type { ModelRequest, ToolCall, Turn } from './turn.ts';

export type ModelServer = {
  /** Its address, without a path. */
  readonly url: string;
  /** Every request that used a turn, in order; side questions are left out. */
  readonly requests: ModelRequest[];
  /** Every path that was asked for, side questions and unknown ones included: `POST /v1/messages`. */
  readonly paths: string[];
  /** Adds what the model will say next. Once all is said, it answers with "Done.". */
  say(...turns: Turn[]): void;
  close(): Promise<void>;
};

/**
 * A model that says what a test has scripted, in the APIs of Anthropic (Messages), OpenAI (Responses
 * and Chat Completions) and Google (Gemini), streamed or whole, on the loopback interface.
 *
 * A request that offers no tools is a side question of the agent, such as a title for the session:
 * it gets a short answer and uses no turn.
 */
export async function startModelServer(): Promise<ModelServer> {
  const turns: Turn[] = [];
  const requests: ModelRequest[] = [];
  const paths: string[] = [];

  async function next(request: ModelRequest): Promise<Turn> {
    if (request.tools.length === 0) return { text: 'A title' };
    requests.push(request);
    const turn = turns.shift() ?? { text: 'Done.' };
    await turn.hold;
    return turn;
  }

  const answer = (dialect: Dialect, address?: GeminiAddress) => async (c: Context) => {
    const body: Json = await c.req.json();
    const { model, streamed } = address?.(c) ?? { model: body.model, streamed: body.stream };
    const turn = await next({ model, ...dialect.read(body) });
    if (!streamed) return c.json(dialect.whole(turn, model));
    return streamSSE(c, async (stream) => {
      for (const event of dialect.events(turn, model)) await stream.writeSSE(event);
    });
  };

  const app = new Hono()
    .use(async (c, proceed) => {
      paths.push(`${c.req.method} ${c.req.path}`);
      await proceed();
    })
    .post('/v1/messages', answer(anthropic))
    .post('/v1/messages/count_tokens', (c) => c.json({ input_tokens: 10 }))
    .post('/v1/responses', answer(responses))
    .post('/v1/chat/completions', answer(chat))
    .post('/v1beta/models/:call', answer(gemini, geminiAddress));

  const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 });
  await new Promise<void>((listening, failed) => {
    server.once('listening', listening);
    server.once('error', failed);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    paths,
    say: (...more) => void turns.push(...more),
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        if ('closeAllConnections' in server) server.closeAllConnections();
      }),
  };
}

type GeminiAddress = (c: Context) => { model: string; streamed: boolean };

/** The Gemini API carries in the path what the others have in the body. */
function geminiAddress(c: Context) {
  const [model = '', method] = (c.req.param('call') ?? '').split(':');
  return { model, streamed: method === 'streamGenerateContent' };
}
