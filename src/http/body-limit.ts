import type { Context, MiddlewareHandler } from 'hono';
import type { AppEnv } from './env.ts';
import { tooLarge } from './problem.ts';
import { hasBody } from './request.ts';

/** How much of a body that is too large is read and dropped, as a multiple of the limit. */
const DRAIN_FACTOR = 16;

/**
 * Refuses bodies of more than `maxBytes`. What is announced as too large is not touched here: the
 * server then reads it away, and the connection serves the caller's next request. A body of unknown
 * length is read whole before the handler runs; the answer to one that is too large waits for its
 * end, because a connection closed under a caller that still sends would take the answer with it.
 * Requests that `except` names see to their limits themselves.
 */
export function limitBody(
  maxBytes: number,
  options: { except: (c: Context<AppEnv>) => boolean },
): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    if (!hasBody(c) || options.except(c)) return next();
    if (c.req.header('transfer-encoding') === undefined) {
      if (Number(c.req.header('content-length')) > maxBytes) throw tooLarge();
      return next();
    }
    const { body: stream } = c.req.raw;
    // One that comes with a GET means nothing, and is not passed on.
    if (!stream) return next();
    const body = await readWhole(stream, maxBytes);
    c.req.raw = new Request(c.req.raw, { method: c.req.method, body });
    await next();
  };
}

async function readWhole(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  let size = 0;
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > maxBytes * DRAIN_FACTOR) break;
    if (size <= maxBytes) chunks.push(chunk);
  }
  if (size > maxBytes) throw tooLarge();
  return Buffer.concat(chunks);
}
