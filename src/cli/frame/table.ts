import stringWidth from 'string-width';
import { oneLine } from './printable.ts';

const GAP = '  ';

/**
 * Rows in aligned columns. With a `width`, the last column is cut to fit: put there what may be long.
 */
export function formatTable(header: string[], rows: string[][], width?: number): string {
  const cells = [header, ...rows].map((row) => row.map(oneLine));
  const widths = header.map((_, column) =>
    Math.max(...cells.map((row) => stringWidth(row[column] ?? ''))),
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

const pad = (cell: string, width: number): string => cell + ' '.repeat(width - stringWidth(cell));

/** What fits in `room` columns, with an ellipsis in place of the rest. */
function cut(text: string, room: number): string {
  if (stringWidth(text) <= room) return text;
  let kept = '';
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (stringWidth(kept + segment) > room - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}
