import { open } from 'node:fs/promises';
import { type Fields, isFields } from './event.ts';

/** How much of the end of a transcript is read: hours of work, and bounded memory. */
export const TAIL_BYTES = 8 * 1024 * 1024;

const NEWLINE = 10;

/**
 * The last lines of a JSONL file that is being written, as objects. Of a longer file the line that the
 * window cuts is left out, as is a last line that is not whole yet, and whatever is not an object.
 * A file that is not there has no lines.
 */
export async function tailObjects(path: string, bytes = TAIL_BYTES): Promise<Fields[]> {
  const tail = await readTail(path, bytes);
  return tail
    .toString('utf8')
    .split('\n')
    .flatMap((line) => {
      const value = parse(line);
      return isFields(value) ? [value] : [];
    });
}

async function readTail(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!file) return Buffer.alloc(0);
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - bytes);
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(size - start),
      position: start,
    });
    const tail = buffer.subarray(0, bytesRead);
    return start === 0 ? tail : tail.subarray(tail.indexOf(NEWLINE) + 1);
  } finally {
    await file.close();
  }
}

function parse(line: string): unknown {
  if (line === '') return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
