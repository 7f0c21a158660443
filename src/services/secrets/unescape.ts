const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|([^]))/g;
const MEANING: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

export type Unescaped = {
  text: string;
  /** For each position in `text`, its end included, the position in the original. */
  origin: Uint32Array;
};

/** Text without one level of the escapes of JSON; what is no JSON is treated the same way. */
export function unescapeJson(original: string): Unescaped {
  let text = '';
  let from = 0;
  const origin = new Uint32Array(original.length + 1);
  const copyUntil = (end: number) => {
    for (let at = from; at < end; at += 1) origin[text.length + at - from] = at;
    text += original.slice(from, end);
  };
  for (const match of original.matchAll(ESCAPE)) {
    const [escape, code, letter = ''] = match;
    copyUntil(match.index);
    origin[text.length] = match.index;
    text += code ? String.fromCharCode(Number.parseInt(code, 16)) : (MEANING[letter] ?? letter);
    from = match.index + escape.length;
  }
  copyUntil(original.length);
  origin[text.length] = original.length;
  return { text, origin: origin.subarray(0, text.length + 1) };
}
