import type { Hit } from '../secrets/find.ts';
import { isStandIn, namesSecret } from '../secrets/rules.ts';
import { merge, replace } from '../secrets/replace.ts';
import { openScanner } from '../secrets/scanner.ts';
import { mapStrings, type Place, type StringChange } from './json.ts';
import type { Reasoning } from './reasoning.ts';

/** Where something was hidden, as in `pendingToolCalls.0.input.command`, and by which rule. */
export type Redaction = { path: string; rule: string };

/** How long the search of one text may take: many times what the largest needs. */
const BUDGET_MS = 10_000;

/** The largest text that is searched apart from reasonings, so that no beat waits for one of those. */
const SHORT_LENGTH = 20_000;

const short = openScanner();
const long = openScanner();

export type RedactOptions = {
  /** The agent that says it: agents take turns. */
  agent?: string | undefined;
  signal?: AbortSignal;
};

/**
 * Replaces every secret in a reasoning state by `[redacted: <rule>]`: in all its strings, in keys and
 * values of tool inputs, below the escapes of JSON, and where one runs over several strings.
 *
 * @throws AppError `unavailable` when the search did not end in time, or was stopped by `signal`: then
 *   nothing may be stored
 */
export async function redactReasoning(
  reasoning: Reasoning,
  options: RedactOptions = {},
): Promise<{ reasoning: Reasoning; redacted: Redaction[] }> {
  const { value, redacted } = await redactStrings(reasoning, isFree, options);
  return { reasoning: value, redacted };
}

/**
 * The same for any JSON, in all its values; its keys are ours.
 *
 * @throws AppError `unavailable`
 */
export async function redactValues<T>(value: T, options: RedactOptions = {}): Promise<T> {
  let plain = true;
  mapStrings(value, (text, _place, kind) => {
    plain &&= kind === 'key' || isPlain(text);
    return text;
  });
  if (plain) return value;
  return (await redactStrings(value, (_place, kind) => kind === 'value', options)).value;
}

/** {@link redactValues}, or all of them withheld. */
export async function redactValuesOrWithhold<T>(value: T, options: RedactOptions): Promise<T> {
  return await redactValues(value, options).catch(() => mapStrings(value, withhold));
}

const withhold: StringChange = (text, _place, kind) => (kind === 'key' ? text : WITHHELD);

async function redactStrings<T>(
  value: T,
  isFree: IsFree,
  options: RedactOptions,
): Promise<{ value: T; redacted: Redaction[] }> {
  const { text, pieces, named } = layOut(value, isFree);
  const hits = merge([...(await find(text, options)), ...named]);
  const redacted = new Map<string, Redaction>();
  let n = 0;
  let next = 0;
  const clean = mapStrings(value, (string, place, kind) => {
    if (!isFree(place, kind)) return string;
    const { start, end } = pieces[n] ?? { start: 0, end: 0 };
    n += 1;
    while ((hits[next]?.end ?? Infinity) <= start) next += 1;
    const inside: Hit[] = [];
    for (let at = next; (hits[at]?.start ?? Infinity) < end; at += 1) {
      const hit = hits[at];
      if (hit) inside.push({ ...hit, start: hit.start - start, end: hit.end - start });
    }
    for (const { rule } of inside) {
      const where = { path: pathTo(place), rule };
      redacted.set(`${where.path}\0${rule}`, where);
    }
    return replace(string, inside);
  });
  return { value: clean, redacted: [...redacted.values()] };
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
  options: RedactOptions = {},
): Promise<{ text: string; redacted: string[] }> {
  if (isPlain(text)) return { text, redacted: [] };
  const hits = merge(await find(text, options));
  return { text: replace(text, hits), redacted: [...new Set(hits.map(({ rule }) => rule))] };
}

/** Stands for a text that could not be searched: it is kept nowhere. */
const WITHHELD = '[withheld: the search for secrets in this text did not end in time]';

/** {@link redactText} of what an agent said of its work, if it said anything; withheld where that fails. */
export async function redactSaid<T extends string | undefined>(
  text: T,
  options: RedactOptions = {},
): Promise<T | string> {
  if (!text) return text;
  return (await redactText(text, options).catch(() => ({ text: WITHHELD }))).text;
}

/** {@link redactReasoning}, or where that fails one that says so: what else was saved is worth more. */
export async function redactOrWithhold(
  reasoning: Reasoning,
  options: RedactOptions = {},
): Promise<Reasoning> {
  const redacted = redactReasoning(reasoning, options);
  return (await redacted.catch(() => ({ reasoning: { transcriptTail: WITHHELD } }))).reasoning;
}

/** Words of prose and small numbers, which no rule finds anything in: most notes need no search. */
const PLAIN = /^(?:(?:[A-Za-z][a-z]{0,19}|\d{1,4})[.,;!?]?(?: |$))*$/;

export const isPlain = (text: string): boolean => PLAIN.test(text);

async function find(text: string, { agent, signal: stop }: RedactOptions): Promise<Hit[]> {
  const scanner = text.length > SHORT_LENGTH ? long : short;
  const [hits = []] = await scanner.find([text], {
    likely: true,
    owner: agent ?? '',
    signal: () => AbortSignal.any([AbortSignal.timeout(BUDGET_MS), ...(stop ? [stop] : [])]),
  });
  return hits;
}

type Kind = 'key' | 'value';
/** Whether a string may be changed. */
type IsFree = (place: Place | undefined, kind: Kind) => boolean;

/** The fields of the schema keep their names; in the input of a tool everything is the agent's own. */
function isFree(place: Place | undefined, kind: Kind): boolean {
  if (kind === 'value') return true;
  const path = stepsTo(place);
  return path[0] === 'pendingToolCalls' && path[2] === 'input';
}

/** From the outside in; as deep as JSON may be nested. */
function stepsTo(place: Place | undefined): string[] {
  const steps: string[] = [];
  for (let at = place; at; at = at.of) steps.push(at.step);
  return steps.toReversed();
}

/** Most characters of a step that are shown: keys are of any length. */
const SHOWN_STEP = 60;

const pathTo = (place: Place | undefined): string =>
  stepsTo(place)
    .map((step) => (step.length > SHOWN_STEP ? `${step.slice(0, SHOWN_STEP)}…` : step))
    .join('.');

/** No pattern runs over this. */
const BORDER = '\n\0\n';

/**
 * All strings as one text, in the order of `mapStrings`. Those of one list are its lines, as a key or a
 * command may be split; all others are kept apart. `named` are values whose key says what they are.
 */
function layOut(value: unknown, isFree: IsFree) {
  const parts: string[] = [];
  const pieces: { start: number; end: number }[] = [];
  const named: Hit[] = [];
  let length = 0;
  let list: Place | undefined;
  const holdsSecret = namedOnce();
  mapStrings(value, (string, place, kind) => {
    if (!isFree(place, kind)) return string;
    const parent = kind === 'value' && isIndex(place?.step) ? place?.of : undefined;
    const gap = parent !== undefined && parent === list ? '\n' : BORDER;
    list = parent;
    const start = length + gap.length;
    const end = start + string.length;
    parts.push(gap, string);
    pieces.push({ start, end });
    length = end;
    if (kind === 'value' && string !== '' && holdsSecret(place) && !isStandIn(string)) {
      named.push({ rule: 'credential', start, end });
    }
    return string;
  });
  return { text: parts.join(''), pieces, named };
}

/** Whether the field that a value is in is named as a secret; a long name is read once for all its values. */
function namedOnce(): (place: Place | undefined) => boolean {
  const known = new WeakMap<Place, boolean>();
  const named = (place: Place | undefined): boolean => {
    if (!place) return false;
    const answer =
      known.get(place) ?? (isIndex(place.step) ? named(place.of) : namesSecret(place.step));
    known.set(place, answer);
    return answer;
  };
  return named;
}

const isIndex = (step: string | undefined) => step !== undefined && /^\d+$/.test(step);
