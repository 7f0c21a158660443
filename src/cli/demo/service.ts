import { spawn } from 'node:child_process';
import { DEFIB } from '../frame/self.ts';

export type DemoService = { url: Promise<string>; stop(): Promise<void> };

/** `defib up` on a port that is free; its address is in the line that says where it listens. */
export function startService(settings: Record<string, string>): DemoService {
  // Nothing of the caller's settings: the demo must not touch the caller's service.
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [DEFIB, 'up'], {
    env: { PATH, HOME, ...settings, PORT: '0', DEFIB_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let output = '';
  const url = new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const found = /listens on (\S+)/.exec(output)?.[1];
      if (found && output.includes('curl')) resolve(found);
    });
    void exited.then((code) => reject(new Error(`the service ended with code ${code}`)));
  });
  return {
    url,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
