import { plural } from '../plural.ts';
import { byteLength, firstBytes, lastBytes } from './prompt-text.ts';

/** A part of a prompt that may be cut. Sections come in the order in which they are shown. */
export type Section = {
  title: string;
  intro?: string;
  /** What is cut last has the lowest. */
  priority: number;
  body: { entries: string[]; noun: string } | { quote: string; keep: 'start' | 'end' };
};

const MORE_BYTES = 64;
/** What a section keeps of its body when there is no room at all. */
const FLOOR_BYTES = 64;

/**
 * The sections within `budget` bytes, blank lines between them included. Each is first given a few
 * lines, then a fair share in order of priority, then all that it wants while there is room.
 */
export function fitSections(sections: readonly Section[], budget: number): string[] {
  const wants = sections.map((section) => byteLength(render(section, Infinity)));
  const given = sections.map(() => 0);
  const order = sections.map((_, n) => n);
  order.sort((a, b) => (sections[a]?.priority ?? 0) - (sections[b]?.priority ?? 0));
  let room = budget - 2 * sections.length;
  const limits = [floorOf, () => Math.floor(budget / 8), () => Infinity];
  for (const limit of limits) {
    for (const n of order) {
      const section = sections[n];
      const has = given[n] ?? 0;
      if (!section) continue;
      const more = Math.min(Math.min(wants[n] ?? 0, limit(section)) - has, room);
      if (more <= 0) continue;
      given[n] = has + more;
      room -= more;
    }
  }
  return sections.map((section, n) => render(section, given[n] ?? 0));
}

const shellOf = ({ title, intro }: Section) =>
  [`## ${title}`, ...(intro ? [intro] : [])].join('\n\n');

function floorOf(section: Section): number {
  return byteLength(shellOf(section)) + MORE_BYTES + FLOOR_BYTES;
}

function render(section: Section, max: number): string {
  const shell = `${shellOf(section)}\n\n`;
  const room = max - byteLength(shell);
  const { body } = section;
  return shell + ('quote' in body ? shorten(body.quote, body.keep, room) : list(body, room));
}

function list({ entries, noun }: { entries: string[]; noun: string }, room: number): string {
  const whole = entries.join('\n');
  if (byteLength(whole) <= room) return whole;
  const shown: string[] = [];
  let left = room - MORE_BYTES;
  for (const entry of entries) {
    left -= byteLength(entry) + 1;
    if (left < 0) break;
    shown.push(entry);
  }
  return [...shown, `- … ${plural(entries.length - shown.length, `more ${noun}`)}`].join('\n');
}

/** Each line of a quotation has its mark, so that it may be cut anywhere. */
function shorten(quote: string, keep: 'start' | 'end', room: number): string {
  const size = byteLength(quote);
  if (size <= room) return quote;
  const part = (keep === 'start' ? firstBytes : wholeLastLines)(quote, room - MORE_BYTES);
  const missing = `> [… ${plural(size - byteLength(part), 'more byte')}]`;
  return (keep === 'start' ? [part, missing] : [missing, part]).filter(Boolean).join('\n');
}

function wholeLastLines(quote: string, max: number): string {
  const part = lastBytes(quote, max);
  const firstLineEnd = part.indexOf('\n');
  return firstLineEnd < 0 ? part.replace(/^(?:> ?)?/, '> ') : part.slice(firstLineEnd + 1);
}
