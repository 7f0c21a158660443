import { parentPort } from 'node:worker_threads';
import type { Hit } from './find.ts';
import { findKnown, findLikely } from './find.ts';

/*
 * Looks for secrets in a thread of its own: the patterns of all rules over megabytes of text would hold up
 * the event loop for seconds.
 */

export type ScanRequest = { texts: readonly string[]; likely: boolean };
/** The hits in each text. */
export type ScanAnswer = Hit[][];

parentPort?.on('message', ({ texts, likely }: ScanRequest) => {
  const answers = Promise.all(texts.map(likely ? findLikely : findKnown));
  void answers.then((answer: ScanAnswer) => parentPort?.postMessage(answer, []));
});

// Ready: see `startWorker`.
parentPort?.postMessage([], []);
