import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const PRELOAD = pathToFileURL(join(import.meta.dirname, 'at-point.ts')).href;

/** The environment in which a Node program gets a signal once it reaches a point; see at-point.ts. */
export const signalAt = (point: string, signal: NodeJS.Signals): Record<string, string> => ({
  NODE_OPTIONS: `--import=${PRELOAD}`,
  TEST_POINT: point,
  TEST_SIGNAL: signal,
});
