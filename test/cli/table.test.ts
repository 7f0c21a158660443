import { describe, expect, it } from 'vitest';
import { printable } from '../../src/cli/frame/printable.ts';
import { formatTable } from '../../src/cli/frame/table.ts';

describe('formatTable', () => {
  it('aligns columns by what a terminal shows', () => {
    const text = formatTable(
      ['NAME', 'STATE', 'WHAT'],
      [
        ['日本', 'ok', 'x'],
        ['builder', '-', 'y'],
      ],
    );
    expect(text.split('\n')).toEqual([
      'NAME     STATE  WHAT',
      '日本     ok     x',
      'builder  -      y',
    ]);
  });

  it('cuts the last column where the terminal ends, between whole characters', () => {
    const cutTo = (width: number, text: string) =>
      formatTable(['A', 'B'], [['1', text]], width).split('\n')[1];
    expect(cutTo(13, 'abcdefghij')).toBe('1  abcdefghij');
    expect(cutTo(13, 'abcdefghijk')).toBe('1  abcdefghi…');
    expect(cutTo(13, '日本日本日本')).toBe('1  日本日本…');
    expect(cutTo(13, '👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧')).toBe('1  👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧👩‍👩‍👧…');
  });
});

describe('printable', () => {
  it('shows what a terminal would obey', () => {
    expect(printable('a\u0007\u009b1m\u2067b\n\tc')).toBe(String.raw`a\x07\x9b1m\u2067b` + '\n\tc');
  });
});
