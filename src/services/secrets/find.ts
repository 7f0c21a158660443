import { lintSource } from '@secretlint/core';
import { rules } from '@secretlint/secretlint-rule-preset-recommend';
import { isStandIn, RULES } from './rules.ts';
import { unescapeJson } from './unescape.ts';

/** Where a secret is in a text, and which rule says so. */
export type Hit = { rule: string; start: number; end: number };

/** All rules of the preset but one, which lets a comment in a file switch the search off for that file. */
const config = {
  rules: rules
    .filter((rule) => !rule.meta.id.endsWith('filter-comments'))
    .map((rule) => ({ id: rule.meta.id, rule })),
};

/** What is a secret in a file, where a false alarm keeps work from being pushed. */
export async function findKnown(text: string): Promise<Hit[]> {
  return [...(await lint(text)), ...match(text, 'file')];
}

/** JSON in JSON in JSON: as deep as tool inputs quote one another. */
const MAX_LEVELS = 4;

/** Besides, all that may well be a secret by where it stands; also below escapes of JSON. */
export async function findLikely(text: string): Promise<Hit[]> {
  const hits: Hit[] = [];
  let view = { text, origin: (at: number) => at };
  for (let level = 0; level <= MAX_LEVELS; level += 1) {
    const { origin } = view;
    for (const { rule, start, end } of [...(await lint(view.text)), ...match(view.text, 'said')]) {
      hits.push({ rule, start: origin(start), end: origin(end) });
    }
    if (!view.text.includes('\\')) break;
    const inner = unescapeJson(view.text);
    view = { text: inner.text, origin: (at) => origin(inner.origin[at] ?? 0) };
  }
  return hits;
}

async function lint(text: string): Promise<Hit[]> {
  const { messages } = await lintSource({
    source: { filePath: 'text', content: text, contentType: 'text' },
    options: { config, maskSecrets: true, noPhysicFilePath: true },
  });
  return messages.map(({ ruleId, range: [start, end] }) => ({
    rule: ruleId.replace(/^.*secretlint-rule-/, ''),
    start,
    end,
  }));
}

function* match(text: string, where: 'file' | 'said'): Generator<Hit> {
  for (const { id, pattern, accept, inFile, from } of RULES) {
    if (where === 'file' && inFile === false) continue;
    for (const { indices } of text.matchAll(pattern)) {
      const [found, end] = indices?.groups?.['secret'] ?? [0, 0];
      const start = from?.(text, found) ?? found;
      const secret = text.slice(start, end);
      if (isStandIn(secret) || (accept && !accept(secret))) continue;
      if (where === 'file' && inFile && !inFile(secret)) continue;
      yield { rule: id, start, end };
    }
  }
}
