import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy } from '@fastify/busboy';
import type { Db } from '../../db/connect.ts';
import { insertBundle } from '../../db/queries/bundles.ts';
import { AppError } from '../../errors.ts';
import { newId } from '../ids.ts';
import { withFolder } from './scratch.ts';

export type UploadOptions = {
  body: ReadableStream<Uint8Array>;
  contentType: string;
  /** Where the bundle lies until it is whole. */
  dataDir: string;
  maxBundleBytes: number;
};

export type ReceivedUpload = {
  /** The part `meta`, as text. */
  meta: string;
  /** The part `bundle`: a file, its size, and its SHA-256 in hex. */
  file: string;
  bytes: number;
  sha256: string;
};

const MAX_META_BYTES = 512 * 1024;

/**
 * Receives a multipart upload with the parts `meta` (JSON) and `bundle`, the bundle streamed to disk.
 * `use` gets it; the file is gone afterwards. Only what came whole is used.
 *
 * @throws AppError `malformed` (not multipart, cut off, a part missing) or `too_large`
 */
export async function receiveUpload<T>(
  options: UploadOptions,
  use: (upload: ReceivedUpload) => Promise<T>,
): Promise<T> {
  return await withFolder(join(options.dataDir, 'uploads'), async (folder) =>
    use(await receive(options, join(folder, 'bundle'))),
  );
}

async function receive(options: UploadOptions, file: string): Promise<ReceivedUpload> {
  const parser = open(options);
  let meta: Promise<string> | undefined;
  let bundle: Promise<{ bytes: number; sha256: string }> | undefined;
  parser.on('file', (name, stream) => {
    // Both are awaited below; until then a failure must not count as unhandled.
    if (name === 'bundle' && !bundle) {
      bundle = save(stream, file, options.maxBundleBytes);
      bundle.catch(() => undefined);
    } else if (name === 'meta' && !meta) {
      meta = readText(stream);
      meta.catch(() => undefined);
    } else {
      stream.resume();
    }
  });
  const input = Readable.fromWeb(options.body as Parameters<typeof Readable.fromWeb>[0]);
  await pipeline(input, parser).catch((cause: unknown) => {
    throw new AppError('malformed', 'The upload was cut off or is not multipart/form-data.', {
      cause,
    });
  });
  if (!meta || !bundle) {
    throw new AppError('malformed', 'The upload needs the parts "meta" (JSON) and "bundle".');
  }
  const [text, saved] = await Promise.all([meta, bundle]);
  return { meta: text, file, ...saved };
}

/** Read as a file: of a field, the parser would replace what is not UTF-8. */
async function readText(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes <= MAX_META_BYTES) chunks.push(Buffer.from(chunk));
  }
  if (bytes > MAX_META_BYTES) throw tooLarge(`meta has more than ${MAX_META_BYTES} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw new AppError('malformed', 'The part "meta" is not UTF-8.', { cause });
  }
}

function open({ contentType, maxBundleBytes }: UploadOptions): InstanceType<typeof Busboy> {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      limits: {
        fields: 4,
        files: 2,
        parts: 6,
        // One more than allowed, so that "too large" can be told from "just fits".
        fileSize: maxBundleBytes + 1,
      },
      // With a file name or without.
      isPartAFile: (name) => name === 'bundle' || name === 'meta',
    });
  } catch (cause) {
    throw new AppError(
      'malformed',
      'The Content-Type is not multipart/form-data with a boundary.',
      {
        cause,
      },
    );
  }
}

async function save(
  stream: NodeJS.ReadableStream,
  file: string,
  maxBytes: number,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const count = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      bytes += chunk.length;
      hash.update(chunk);
      // What is too large is read to its end all the same, so that the caller gets its answer.
      done(null, bytes > maxBytes ? Buffer.alloc(0) : chunk);
    },
  });
  await pipeline(stream, count, createWriteStream(file, { mode: 0o600 }));
  if (bytes > maxBytes) throw tooLarge(`the bundle has more than ${maxBytes} bytes`);
  return { bytes, sha256: hash.digest('hex') };
}

const tooLarge = (what: string): AppError =>
  new AppError('too_large', `The upload is too large: ${what} (DEFIB_MAX_BUNDLE_MB).`);

/** Keeps a received bundle in the database until a worker has verified it. Returns its id. */
export async function keepUpload(
  db: Db,
  sessionId: string,
  { file }: ReceivedUpload,
): Promise<string> {
  const id = newId();
  await insertBundle(db, { id, sessionId, prerequisites: [], chunks: createReadStream(file) });
  return id;
}
