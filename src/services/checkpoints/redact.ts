import type { Hit } from '../secrets/find.ts';
import { isStandIn, namesSecret } from '../secrets/rules.ts';
import { openScanner } from '../secrets/scanner.ts';
import { mapStrings } from './json.ts';
import type { Reasoning } from './reasoning.ts';

/** Where something was hidden, as in `pendingToolCalls.0.input.command`, and by which rule. */
export type Redaction = { path: string; rule: string };

const DEADLINE_MS = 15_000;

const scanner = openScanner();

/**
 * Replaces every secret in a reasoning state by `[redacted: <rule>]`: in all its strings, in keys and
 * values of tool inputs, below the escapes of JSON, and where one runs over several strings.
 *
 * @throws AppError `unavailable` when the search did not end in time, or was stopped by `signal`: then
 *   nothing may be stored
 */
export async function redactReasoning(
  reasoning: Reasoning,
  signal?: AbortSignal,
): Promise<{ reasoning: Reasoning; redacted: Redaction[] }> {
  const { text, pieces, named } = layOut(reasoning);
  const hits = merge([...(await find(text, signal)), ...named]);
  const redacted = new Map<string, Redaction>();
  let n = 0;
  let next = 0;
  const clean = mapStrings(reasoning, (string, path, kind) => {
    if (!isFree(path, kind)) return string;
    const { start, end } = pieces[n] ?? { start: 0, end: 0 };
    n += 1;
    while ((hits[next]?.end ?? Infinity) <= start) next += 1;
    const inside: Hit[] = [];
    for (let at = next; (hits[at]?.start ?? Infinity) < end; at += 1) {
      const hit = hits[at];
      if (hit) inside.push({ ...hit, start: hit.start - start, end: hit.end - start });
    }
    for (const { rule } of inside) {
      const where = { path: path.join('.'), rule };
      redacted.set(`${where.path}\0${rule}`, where);
    }
    return replace(string, inside);
  });
  return { reasoning: clean, redacted: [...redacted.values()] };
}

/**
 * The same for one text, such as a note, a summary or an objective.
 *
 * @returns `redacted`: the rules that found something
 * @throws AppError `unavailable` when the search did not end in time, or was stopped by `signal`: then
 *   nothing may be stored
 */
export async function redactText(
  text: string,
  signal?: AbortSignal,
): Promise<{ text: string; redacted: string[] }> {
  const hits = merge(await find(text, signal));
  return { text: replace(text, hits), redacted: [...new Set(hits.map(({ rule }) => rule))] };
}

/** {@link redactText} of what an agent said of its work, if it said anything. */
export async function redactSaid<T extends string | undefined>(text: T): Promise<T | string> {
  return text ? (await redactText(text)).text : text;
}

async function find(text: string, stop?: AbortSignal): Promise<Hit[]> {
  const [hits = []] = await scanner.find([text], {
    likely: true,
    signal: () => AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), ...(stop ? [stop] : [])]),
  });
  return hits;
}

type Kind = 'key' | 'value';

/** The fields of the schema keep their names; in the input of a tool everything is the agent's own. */
function isFree(path: readonly string[], kind: Kind): boolean {
  return kind === 'value' || (path[0] === 'pendingToolCalls' && path[2] === 'input');
}

/** No pattern runs over this. */
const BORDER = '\n\0\n';

/**
 * All strings as one text, in the order of `mapStrings`. Those of one list are its lines, as a key or a
 * command may be split; all others are kept apart. `named` are values whose key says what they are.
 */
function layOut(reasoning: Reasoning) {
  const parts: string[] = [];
  const pieces: { start: number; end: number }[] = [];
  const named: Hit[] = [];
  let length = 0;
  let list = '';
  mapStrings(reasoning, (string, path, kind) => {
    if (!isFree(path, kind)) return string;
    const parent = kind === 'value' && isIndex(path.at(-1)) ? path.slice(0, -1).join('\0') : '';
    const gap = parent !== '' && parent === list ? '\n' : BORDER;
    list = parent;
    const start = length + gap.length;
    const end = start + string.length;
    parts.push(gap, string);
    pieces.push({ start, end });
    length = end;
    const field = path.findLast((step) => !isIndex(step)) ?? '';
    if (kind === 'value' && namesSecret(field) && string !== '' && !isStandIn(string)) {
      named.push({ rule: 'credential', start, end });
    }
    return string;
  });
  return { text: parts.join(''), pieces, named };
}

const isIndex = (step: string | undefined) => step !== undefined && /^\d+$/.test(step);

/** In order, none touching another; what overlaps is one, under the rule that found the longest. */
function merge(hits: readonly Hit[]): Hit[] {
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

function replace(text: string, hits: readonly Hit[]): string {
  let clean = '';
  let from = 0;
  for (const { rule, start, end } of hits) {
    clean += `${text.slice(from, Math.max(start, 0))}[redacted: ${rule}]`;
    from = end;
  }
  return clean + text.slice(from);
}
