import type { Command } from 'commander';
import { oneLine } from './printable.ts';
import { ago } from './relative-time.ts';
import { shortIds } from './short-id.ts';
import { formatTable } from './table.ts';

export type OutputOptions = { json?: boolean };

/** Gives a command its `--json`. */
export const withJson = (command: Command): Command =>
  command.option('--json', 'print JSON, for programs');

/** Prints what the API answered: as it is with `--json`, else as text for people. */
export function print<T>(value: T, options: OutputOptions, toText: (value: T) => string): void {
  const text = options.json ? JSON.stringify(value, null, 2) : toText(value);
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** Prints to stderr, where it is in the way of no pipe. */
export const note = (text: string): void => void process.stderr.write(`${text}\n`);

/** A table as wide as the terminal; where the output is no terminal, as wide as its content. */
export const table = (header: string[], rows: (string | number | null | undefined)[][]): string =>
  formatTable(
    header,
    rows.map((row) => row.map((cell) => String(cell ?? '-'))),
    process.stdout.isTTY ? process.stdout.columns : undefined,
  );

/** People read what a terminal shows; what goes elsewhere may be read by a program. */
const forPeople = (): boolean => process.stdout.isTTY;

/** `3 min ago` on a terminal; else `2026-11-21 10:00:00`, in the local time of the reader. */
export function time(iso: string | null, relative = forPeople()): string {
  if (iso === null) return '-';
  return relative ? ago(iso) : new Date(iso).toLocaleString('sv-SE');
}

/** On a terminal ids are cut to where those of one listing differ; each command takes them so. */
export const idsOf = (items: { id: string }[], short = forPeople()): ((id: string) => string) =>
  short ? shortIds(items.map(({ id }) => id)) : (id) => id;

/** Names and values, one a line; what has no value is left out. */
export function fields(values: Record<string, string | number | null | undefined>): string {
  const present = Object.entries(values).filter(([, value]) => (value ?? '') !== '');
  const width = Math.max(...present.map(([name]) => name.length));
  return present
    .map(([name, value]) => `${name.padEnd(width)}  ${oneLine(String(value))}`)
    .join('\n');
}
