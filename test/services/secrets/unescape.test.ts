import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { unescapeJson } from '../../../src/services/secrets/unescape.ts';

test('takes off the escapes of JSON, and knows where each character came from', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (inside) => {
      const escaped = JSON.stringify(inside).slice(1, -1);
      const { text, origin } = unescapeJson(escaped);
      expect(text).toBe(inside);
      expect(origin).toHaveLength(inside.length + 1);
      const pieces = [...origin].slice(1).map((end, n) => escaped.slice(origin[n], end));
      expect(pieces.join('')).toBe(escaped);
      for (const [n, piece] of pieces.entries()) {
        expect(JSON.parse(`"${piece}"`)).toBe(inside[n]);
      }
    }),
  );
});

test('makes sense of what is no JSON', () => {
  expect(unescapeJson('C:\\x \\').text).toBe('C:x \\');
  expect(unescapeJson('https:\\/\\/a\\u00').text).toBe('https://au00');
});
