import measure from 'fast-string-truncated-width';
import { oneLine } from './printable.ts';

const GAP = '  ';

/**
 * Rows in aligned columns. With a `width`, the last column is cut to fit: put there what may be long.
 */
export function formatTable(header: string[], rows: string[][], width?: number): string {
  const cells = [header, ...rows].map((row) => row.map(oneLine));
  const widths = header.map((_, column) =>
    Math.max(...cells.map((row) => widthOf(row[column] ?? ''))),
  );
  const before = widths
    .slice(0, -1)
    .reduce((sum, columnWidth) => sum + columnWidth + GAP.length, 0);
  const room = width === undefined ? Infinity : Math.max(width - before, 10);
  return cells
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1 ? cut(cell, room) : pad(cell, widths[column] ?? 0),
        )
        .join(GAP),
    )
    .join('\n');
}

const pad = (cell: string, width: number): string => cell + ' '.repeat(width - widthOf(cell));

const widthOf = (text: string): number => measure(text).width;

/** What fits in `room` columns, with an ellipsis in place of the rest. */
function cut(text: string, room: number): string {
  const { index, truncated } = measure(text, { limit: room, ellipsis: '…' });
  return truncated ? `${text.slice(0, index)}…` : text;
}
