/*
 * Runs one operation in a process of its own and dies by SIGKILL at a stage.
 * Arguments: operation, options as JSON, stage ("" to live).
 */
import { capture } from '../../../src/services/git/capture.ts';
import { moveCheckpointRef } from '../../../src/services/git/publish.ts';
import { restore } from '../../../src/services/git/restore/restore.ts';

const [operation = '', json = '{}', dieAt = ''] = process.argv.slice(2);
const options = JSON.parse(json);
if (typeof options.now === 'string') options.now = new Date(options.now);
options.onStage = (stage: string) => {
  if (stage === dieAt) process.kill(process.pid, 'SIGKILL');
};
const operations: Record<string, () => Promise<unknown>> = {
  capture: () => capture(options),
  publish: () => moveCheckpointRef(options),
  restore: () => restore(options),
};
console.log(JSON.stringify((await operations[operation]?.()) ?? null));
