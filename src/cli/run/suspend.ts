import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startOf } from '../../process-list.ts';

/** What `keep-alive` gets in its environment, as JSON, under the name {@link KEEP}. */
export type Kept = {
  url: string;
  token: string;
  id: string;
  supervisor: { pid: number; start: string };
};

export const KEEP = 'DEFIB_KEEP_ALIVE';

const PROGRAM = fileURLToPath(new URL(`./keep-alive${extname(import.meta.url)}`, import.meta.url));

/**
 * Ctrl-Z: the terminal stops the agent, and us. Who stands still cannot beat, and after its lease the session would be
 * gone on with elsewhere. So another process beats until we go on, and we stop once that is there. The time
 * limit of the session runs on.
 *
 * @returns what ends this handling
 */
export function keepWhileStopped(session: { url: string; token: string; id: string }): () => void {
  const suspend = async (): Promise<void> => {
    const supervisor = { pid: process.pid, start: startOf(process.pid) };
    const kept: Kept = { ...session, supervisor };
    const child = spawn(process.execPath, [PROGRAM], {
      detached: true,
      stdio: 'ignore',
      env: { PATH: process.env['PATH'], [KEEP]: JSON.stringify(kept) },
    });
    child.unref();
    // Without it the session may be lost, and the key must work all the same.
    await once(child, 'spawn').catch(() => undefined);
    process.kill(process.pid, 'SIGSTOP');
  };
  const onKey = (): void => void suspend();
  process.on('SIGTSTP', onKey);
  return () => void process.off('SIGTSTP', onKey);
}
