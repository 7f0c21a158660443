import { parentPort } from 'node:worker_threads';
import { lintSource } from '@secretlint/core';
import { rules } from '@secretlint/secretlint-rule-preset-recommend';

/*
 * Looks for secrets in a thread of its own: the patterns of all rules over megabytes of text would hold up
 * the event loop for seconds.
 */

export type ScanText = { path: string; text: string };
export type ScanHit = { path: string; rule: string };

/** All rules of the preset but one, which lets a comment in a file switch the search off for that file. */
const config = {
  rules: rules
    .filter((rule) => !rule.meta.id.endsWith('filter-comments'))
    .map((rule) => ({ id: rule.meta.id, rule })),
};

async function scan({ path, text }: ScanText): Promise<ScanHit[]> {
  const { messages } = await lintSource({
    source: { filePath: path, content: text, contentType: 'text' },
    options: { config, maskSecrets: true, noPhysicFilePath: true },
  });
  const rules = new Set(
    messages.map((message) => message.ruleId.replace(/^.*secretlint-rule-/, '')),
  );
  return [...rules].map((rule) => ({ path, rule }));
}

parentPort?.on('message', (texts: ScanText[]) => {
  void Promise.all(texts.map(scan)).then((hits) => parentPort?.postMessage(hits.flat(), []));
});
