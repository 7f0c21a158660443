import { constants, createWriteStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../errors.ts';

/*
 * The one way to read a file of a stranger's repository. What lies under a well-known name may be a FIFO,
 * where a plain read waits for ever and takes one of Node's few threads along; a link to any file that
 * this process can read, or to a device without end; or a file of any size.
 */

/** Not through a link, and without waiting for a writer. */
const CAREFUL = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * The content of a regular file; null where there is none (also: a link, a FIFO, a device, a folder).
 *
 * @throws AppError `invalid`: larger than `maxBytes`
 */
export async function readPlain(path: string | Buffer, maxBytes: number): Promise<Buffer | null> {
  return withPlain(path, maxBytes, async (handle, size) => {
    const buffer = Buffer.alloc(size);
    let filled = 0;
    while (filled < size) {
      const { bytesRead } = await handle.read(buffer, filled, size - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  });
}

/** As {@link readPlain}, for text. */
export async function readPlainText(path: string, maxBytes: number): Promise<string | null> {
  return (await readPlain(path, maxBytes))?.toString('utf8') ?? null;
}

/** Copies a regular file; false where there is none. It ends where the source ended when it was opened. */
export async function copyPlain(
  from: string,
  to: string,
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  const copied = await withPlain(from, maxBytes, async (handle, size) => {
    const out = createWriteStream(to);
    if (size === 0) await new Promise((resolve) => out.end(resolve));
    else await pipeline(handle.createReadStream({ end: size - 1, autoClose: false }), out);
    return true;
  });
  return copied ?? false;
}

async function withPlain<T>(
  path: string | Buffer,
  maxBytes: number,
  use: (handle: FileHandle, size: number) => Promise<T>,
): Promise<T | null> {
  const handle = await open(path, CAREFUL).catch(() => null);
  if (!handle) return null;
  try {
    const info = await handle.stat();
    if (!info.isFile()) return null;
    if (info.size > maxBytes) throw tooLarge(path, info.size, maxBytes);
    return await use(handle, info.size);
  } finally {
    await handle.close();
  }
}

function tooLarge(path: string | Buffer, size: number, maxBytes: number): AppError {
  const name = path.toString('utf8').split('/').slice(-2).join('/');
  return new AppError(
    'invalid',
    `${name} has ${size} bytes, and no more than ${maxBytes} are read of it; shorten it, or remove it.`,
  );
}
