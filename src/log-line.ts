import { inspect, styleText } from 'node:util';

type Entry = Record<string, unknown> & { level?: string; time?: string; msg?: string };

type Color = Parameters<typeof styleText>[0];

const COLORS: Record<string, Color> = {
  fatal: 'red',
  error: 'red',
  warn: 'yellow',
  info: 'green',
};

/** The same for all lines of a process that a person watches. */
const KNOWN = new Set(['level', 'time', 'msg', 'service', 'pid', 'err']);

/**
 * A line of the log as a person reads it: time of day, level, what happened, and the rest as `name=value`; an error
 * with its stack below. What is no JSON stays as it is.
 */
export function humanLine(line: string, paint: (color: Color, text: string) => string): string {
  let entry: Entry;
  try {
    entry = JSON.parse(line) as Entry;
  } catch {
    return line;
  }
  const { level = 'info', time = '', msg = '', err } = entry;
  const at = new Date(time).toLocaleTimeString('sv-SE');
  const rest = Object.entries(entry)
    .filter(([name]) => !KNOWN.has(name))
    .map(([name, value]) => paint('dim', `${name}=${shown(value)}`));
  const head = [paint('dim', at), paint(COLORS[level] ?? 'dim', level.padEnd(5)), oneLine(msg)];
  return `${[...head, ...rest].join(' ')}\n${describeError(err)}`;
}

const shown = (value: unknown): string =>
  oneLine(
    typeof value === 'string' && /^[^\s"']+$/.test(value)
      ? value
      : (JSON.stringify(value) ?? inspect(value)),
  );

function describeError(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { stack, message, cause } = error as { stack?: string; message?: string; cause?: unknown };
  const text = (stack ?? message ?? '').split('\n').map((row) => `    ${oneLine(row.trim())}\n`);
  return `${text.join('')}${describeError(cause)}`;
}

/** What agents and servers said must not steer the terminal. */
const oneLine = (text: string): string =>
  text.replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (character) =>
    JSON.stringify(character)
      .slice(1, -1)
      .replace(/^[^\\]$/u, '?'),
  );

/** Where a logger writes its lines when a person watches. Colour as far as the terminal wants it. */
export const terminal = (stream: NodeJS.WriteStream): { write(line: string): void } => ({
  write: (line) =>
    void stream.write(humanLine(line, (color, text) => styleText(color, text, { stream }))),
});
