/*
 * Text of others in a prompt: whatever it holds, it stays where it was put, and a person sees all of it.
 */

/** The lines that a continuation prompt begins and ends with. */
export const PROMPT_BEGIN = '<!-- defib continuation: begin -->';
export const PROMPT_END = '<!-- defib continuation: end -->';

const PROMPT_CUT = '[earlier continuation prompt left out]';
const PROMPT = new RegExp(`${PROMPT_BEGIN}[^]*?(?:${PROMPT_END}|$)`, 'g');

/** Text without the continuation prompts in it, also those of which only the beginning or the end is there. */
export function withoutPrompts(text: string): string {
  const begin = text.indexOf(PROMPT_BEGIN);
  const end = text.indexOf(PROMPT_END);
  const startsWithin = end >= 0 && (begin < 0 || end < begin);
  const rest = startsWithin ? PROMPT_CUT + text.slice(end + PROMPT_END.length) : text;
  return rest.replace(PROMPT, PROMPT_CUT);
}

/**
 * Colours, movements and titles of a terminal (ECMA-48). Node's `stripVTControlCharacters` takes minutes
 * for a transcript that is made for it.
 */
const ESC = '\u001b';
const TERMINAL = new RegExp(
  `${ESC}(?:\\[[0-?]*[ -/]*[@-~]|\\][^\\u0007${ESC}]*(?:\\u0007|${ESC}\\\\))`,
  'g',
);
const LINE_END = /\r\n?|[\u2028\u2029]/g;
const CONTROL = /[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/gu;

/** Whole characters, plain line ends, no colours or movements of a terminal; other controls can be seen. */
function visible(text: string): string {
  return text
    .toWellFormed()
    .replace(TERMINAL, '')
    .replace(LINE_END, '\n')
    .replace(CONTROL, picture)
    .replaceAll('<!--', '<\\!--');
}

/** `␛` for ESC and the like; direction marks and other controls have no picture. */
function picture(control: string): string {
  const code = control.charCodeAt(0);
  if (code === 0x7f) return '␡';
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : '�';
}

export const byteLength = (text: string): number => Buffer.byteLength(text);

/** The first `max` bytes of a text at most, with `…` where it was cut, never in the middle of a character. */
export function cut(text: string, max: number): string {
  if (byteLength(text) <= max) return text;
  return `${firstBytes(text, max - byteLength('…'))}…`;
}

export function firstBytes(text: string, max: number): string {
  const bytes = Buffer.from(text);
  let end = Math.max(0, Math.min(max, bytes.length));
  while (end < bytes.length && isWithinCharacter(bytes[end])) end -= 1;
  return bytes.toString('utf8', 0, end);
}

export function lastBytes(text: string, max: number): string {
  const bytes = Buffer.from(text);
  let start = Math.max(0, bytes.length - Math.max(0, max));
  while (start < bytes.length && isWithinCharacter(bytes[start])) start += 1;
  return bytes.toString('utf8', start);
}

const isWithinCharacter = (byte = 0) => (byte & 0xc0) === 0x80;

/** Prose in one line, without backticks: it stands in sentences that have their own. */
export function line(text: string, max: number): string {
  const plain = visible(withoutPrompts(text)).replace(/\s+/g, ' ').replaceAll('`', "'");
  return cut(plain.trim(), max);
}

/** A name, path or command in one line, between as many backticks as it takes. */
export function code(text: string, max: number): string {
  const name = visible(withoutPrompts(text)).replaceAll('\n', '␊').replaceAll('\t', '␉');
  const short = cut(name, max).replace(/`{9,}/g, "'''");
  const longest = Math.max(0, ...[...short.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const gap = short === '' || /^[` ]|[` ]$/.test(short) ? ' ' : '';
  return `${fence}${gap}${short}${gap}${fence}`;
}

/** Text as a quotation: what each line begins with keeps it inside. Empty if there is only white space. */
export function quote(text: string): string {
  const lines = visible(withoutPrompts(text)).trimEnd().split('\n');
  const first = lines.findIndex((inside) => inside.trim() !== '');
  if (first < 0) return '';
  return lines
    .slice(first)
    .map((inside) => `> ${inside}`.trimEnd())
    .join('\n');
}

/** An item of a list; further lines are set in, which keeps them inside. */
export function item(text: string, max: number): string {
  const inside = cut(visible(withoutPrompts(text)).trim(), max);
  return `- ${inside.replace(/\n(?=[^\n])/g, '\n  ')}`;
}
