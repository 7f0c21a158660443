import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isAlive, startOf } from './process-list.ts';

/** What a running service leaves in its data directory, so that the command line finds it from any folder. */
const schema = z.object({
  /** Where it is reached on this machine. */
  url: z.url(),
  pid: z.number().int().positive(),
  /** When that process began: its number is used again one day. */
  start: z.string(),
});

export type RunningService = z.infer<typeof schema>;

const fileIn = (dataDir: string): string => join(dataDir, 'service.json');

/** Says that this process serves there. Answers with how to take that back. */
export async function noteService(dataDir: string, url: string): Promise<() => Promise<void>> {
  const file = fileIn(dataDir);
  const own = { url: localUrl(url), pid: process.pid, start: startOf(process.pid) };
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await writeFile(`${file}.${process.pid}`, `${JSON.stringify(own)}\n`, { mode: 0o600 });
  await rename(`${file}.${process.pid}`, file);
  return async () => {
    if (readService(dataDir)?.pid === process.pid) await rm(file, { force: true });
  };
}

/** The service that runs on this data directory now, as far as it has said so. */
export function readService(dataDir: string): RunningService | undefined {
  try {
    const { data } = schema.safeParse(JSON.parse(readFileSync(fileIn(dataDir), 'utf8')));
    return data && isAlive(data) ? data : undefined;
  } catch {
    return undefined;
  }
}

/** What listens on all addresses is reached here on that of loopback. */
function localUrl(text: string): string {
  const url = new URL(text);
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.hostname === '[::]') url.hostname = '[::1]';
  return url.href.replace(/\/$/, '');
}
