import type { Hit } from './find.ts';

/** In order, none touching another; what overlaps is one, under the rule that found the longest. */
export function merge(hits: readonly Hit[]): Hit[] {
  const merged: Hit[] = [];
  let longest = 0;
  for (const hit of hits.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = merged.at(-1);
    const length = hit.end - hit.start;
    if (length <= 0) continue;
    if (!last || hit.start >= last.end) {
      merged.push({ ...hit });
      longest = length;
    } else {
      last.end = Math.max(last.end, hit.end);
      if (length > longest) {
        last.rule = hit.rule;
        longest = length;
      }
    }
  }
  return merged;
}

/** The text with `[redacted: <rule>]` for each hit, which must be merged. */
export function replace(text: string, hits: readonly Hit[]): string {
  let clean = '';
  let from = 0;
  for (const { rule, start, end } of hits) {
    clean += `${text.slice(from, Math.max(start, 0))}[redacted: ${rule}]`;
    from = end;
  }
  return clean + text.slice(from);
}
