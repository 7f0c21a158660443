import { expect, it } from 'vitest';
import { humanLine } from '../src/log-line.ts';

const plain = (entry: object | string): string =>
  humanLine(typeof entry === 'string' ? entry : JSON.stringify(entry), (_color, text) => text);

it('a line of the log is told as a person reads it', () => {
  const at = new Date(2026, 10, 21, 10, 0, 5).toISOString();
  const common = { time: at, service: 'defib', pid: 7 };
  expect(plain({ ...common, level: 'info', msg: 'listening', port: 4700, where: 'a b' })).toBe(
    '10:00:05 info  listening port=4700 where="a b"\n',
  );
  const err = { message: 'no', stack: 'Error: no\n    at x', cause: { message: 'deeper' } };
  expect(plain({ ...common, level: 'error', msg: 'failed', err })).toBe(
    '10:00:05 error failed\n    Error: no\n    at x\n    deeper\n',
  );
  expect(plain('not JSON\n')).toBe('not JSON\n');
});

it('what others said does not steer the terminal', () => {
  const line = plain({ time: '', level: 'warn', msg: 'a\u001b[2Jb\nc', note: '\u202ex' });
  expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\u202e]/u);
});
