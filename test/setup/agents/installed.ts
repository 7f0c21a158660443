import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What is to be installed, each in one exact version. */
export const manifest = fileURLToPath(new URL('./packages.json', import.meta.url));

/** Where the agents are installed: 1.4 GB, outside of the lock file. */
export const agentsFolder = resolve(
  process.env['DEFIB_AGENTS_DIR'] ??
    fileURLToPath(new URL('../../../node_modules/.cache/agents', import.meta.url)),
);

export const agentBin = (name: string): string => join(agentsFolder, 'node_modules/.bin', name);

/** Written last, so that an install that was cut short counts for nothing. */
export const stamp = join(agentsFolder, 'installed.json');

/** Whether exactly what the manifest asks for is installed. */
export function agentsAreInstalled(): boolean {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === readFileSync(manifest, 'utf8');
}
