import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, unwrap } from '../../client/index.ts';
import { CliError } from '../frame/errors.ts';
import { dataDirs } from '../frame/service.ts';

const PAUSE_MS = 300;
const CHUNK_BYTES = 64 * 1024;

/** Where the worker of this machine has what the agent of a session prints. */
const outputFiles = (id: string): string[] =>
  dataDirs().map((dataDir) => join(dataDir, 'agents', id, 'output.log'));

/**
 * Prints what the agent of a session printed, as its bytes are; with `follow` until the session is over.
 *
 * @throws CliError `not_found`: it is not on this machine, or the agent has a terminal of its own
 */
export async function printOutput(client: Client, which: string, follow: boolean): Promise<void> {
  const read = (id: string) =>
    unwrap(client.GET('/api/sessions/{id}', { params: { path: { id } } }));
  // What was given may be the beginning of its id.
  const { id, host } = await read(which);
  const isOver = async (): Promise<boolean> => (await read(id)).endedAt !== null;
  const file = await openFirst(outputFiles(id));
  if (!file) {
    throw new CliError(
      'not_found',
      `There is no output of session ${id} on this machine.`,
      `A worker keeps it that has started the agent${host === null ? '' : ` (the session's host is "${host}")`}, in DEFIB_DATA_DIR/agents/${id}/output.log. What was started by hand prints on its own terminal.`,
    );
  }
  try {
    for (let at = 0; ;) {
      // Asked before it is read: what is printed up to the end is in what is read then.
      const last = !follow || (await isOver());
      at = await printFrom(file, at);
      if (last) return;
      await pause(PAUSE_MS);
    }
  } finally {
    await file.close();
  }
}

async function openFirst(files: string[]): Promise<FileHandle | undefined> {
  for (const path of files) {
    const file = await open(path).catch(() => undefined);
    if (file) return file;
  }
  return undefined;
}

async function printFrom(file: FileHandle, from: number): Promise<number> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  for (let at = from; ;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return at;
    process.stdout.write(Buffer.from(buffer.subarray(0, bytesRead)));
    at += bytesRead;
  }
}
