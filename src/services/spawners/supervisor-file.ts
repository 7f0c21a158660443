import { join } from 'node:path';
import { z } from 'zod';
import { isAlive } from '../../process-list.ts';
import { readPlain } from '../git/plain-file.ts';

const schema = z.object({ pid: z.number(), start: z.string() });
const MAX_BYTES = 4096;

/** Where it is noted which process looks after the session of a folder. */
export const supervisorFile = (folder: string): string => join(folder, 'supervisor.json');

/** The process that looks after the session of a folder now, if any. */
export async function livingSupervisor(folder: string): Promise<number | undefined> {
  try {
    const text = await readPlain(supervisorFile(folder), MAX_BYTES);
    const { data } = schema.safeParse(JSON.parse(text?.toString('utf8') ?? ''));
    // A process id is used again one day; its start tells the two apart.
    return data && isAlive(data) ? data.pid : undefined;
  } catch {
    return undefined;
  }
}
