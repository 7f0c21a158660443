import { expect, test } from 'vitest';
import { createStatementNames } from '../../src/db/statements.ts';

const values = [1];
const ask = (names: ReturnType<typeof createStatementNames>, text: string, times: number) =>
  Array.from({ length: times }, () => names.nameOf(text, values)).at(-1);

test('a statement that comes again gets a name and keeps it', () => {
  const names = createStatementNames();
  expect(ask(names, 'SELECT $1', 2)).toBeUndefined();
  const name = names.nameOf('SELECT $1', values);
  expect(name).toMatch(/^\w{1,63}$/);
  expect(names.nameOf('SELECT $1', [2])).toBe(name);
  expect(ask(names, 'SELECT $1 + 1', 3)).not.toBe(name);
});

test('what has no parameters is not prepared', () => {
  const names = createStatementNames();
  for (const without of [undefined, [], () => undefined]) {
    for (let i = 0; i < 5; i += 1) expect(names.nameOf('BEGIN', without)).toBeUndefined();
  }
});

test('a renewed statement has another name for good', () => {
  const names = createStatementNames();
  const first = ask(names, 'SELECT $1', 3);
  names.renew('SELECT $1');
  const second = names.nameOf('SELECT $1', values);
  expect(second).toBeDefined();
  expect(second).not.toBe(first);
  expect(names.nameOf('SELECT $1', values)).toBe(second);
});

test('texts without end neither take all names nor fill the memory', () => {
  const names = createStatementNames();
  for (let i = 0; i < 5000; i += 1) ask(names, `SELECT $1 + ${i}`, 1);
  expect(ask(names, 'SELECT $1 -- too late to be noticed', 3)).toBeUndefined();
  expect(ask(names, 'SELECT $1 + 0', 2)).toBeDefined();

  const many = Array.from({ length: 300 }, (_, i) => `SELECT $1 - ${i}`);
  const busy = createStatementNames();
  const named = many.filter((text) => ask(busy, text, 3) !== undefined);
  expect(named).toEqual(many.slice(0, 200));
});
