import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../src/adapters/conversation.ts';
import { reasoningOf } from '../../src/adapters/reasoning.ts';
import { PROMPT_BEGIN, PROMPT_END } from '../../src/services/sessions/prompt-text.ts';
import { reasoningSchema } from '../../src/services/checkpoints/reasoning.ts';

const agent = (text: string): Entry => ({ kind: 'said', by: 'agent', text });
const call = (id: string): Entry => ({ kind: 'call', id, tool: 'bash', input: { id } });

test('the last plan and the last to-dos count', () => {
  const entries: Entry[] = [
    { kind: 'plan', text: 'old' },
    { kind: 'todos', todos: [{ text: 'old', state: 'doing' }] },
    { kind: 'plan', text: 'new' },
    {
      kind: 'todos',
      todos: [
        { text: 'one', state: 'done' },
        { text: 'two', state: 'open' },
        { text: 'three', state: 'doing' },
      ],
    },
  ];
  expect(reasoningOf(entries)).toEqual({
    approach: 'new',
    done: ['one'],
    remaining: ['two', 'three'],
    nextStep: 'three',
  });
});

test('without one under way, the next step is the first that is open', () => {
  const todos = [
    { text: 'one', state: 'done' as const },
    { text: 'two', state: 'open' as const },
  ];
  expect(reasoningOf([{ kind: 'todos', todos }]).nextStep).toBe('two');
});

test('calls without a result are pending, in whatever order results came', () => {
  const entries: Entry[] = [
    call('a'),
    call('b'),
    call('c'),
    { kind: 'result', id: 'c' },
    { kind: 'result', id: 'a' },
    { kind: 'result', id: 'from before what was read' },
  ];
  expect(reasoningOf(entries).pendingToolCalls).toEqual([{ tool: 'bash', input: { id: 'b' } }]);
  // What changes nothing need not be looked into.
  expect(reasoningOf(entries, new Set(['bash']))).not.toHaveProperty('pendingToolCalls');
});

describe('decisions', () => {
  test('are lines that say so, with their reason', () => {
    const text = [
      'I looked around.',
      'Decision: keep the parser, because it is tested',
      '- **Decided:** no cache',
      'I decided: nothing',
    ].join('\n');
    expect(reasoningOf([agent(text)]).decisions).toEqual([
      { what: 'keep the parser', why: 'it is tested' },
      { what: 'no cache' },
    ]);
  });

  test('are the agent’s, not the user’s', () => {
    expect(reasoningOf([{ kind: 'said', by: 'user', text: 'Decision: mine' }])).not.toHaveProperty(
      'decisions',
    );
  });
});

test('a question that the agent ended on is open; one that it went on from is not', () => {
  expect(reasoningOf([agent('Done.\nShall I push?')]).openQuestions).toEqual(['Shall I push?']);
  expect(reasoningOf([agent('Shall I push?'), call('a')])).not.toHaveProperty('openQuestions');
  const answered: Entry[] = [agent('Shall I?'), { kind: 'said', by: 'user', text: 'Yes' }];
  expect(reasoningOf(answered)).not.toHaveProperty('openQuestions');
});

test('the tail holds the newest, whole lines, in order', () => {
  const said = Array.from({ length: 100 }, (_, n) => agent(`${n} ${'x'.repeat(1000)}`));
  const { transcriptTail = '' } = reasoningOf(said);
  const lines = transcriptTail.split('\n');
  expect(transcriptTail.length).toBeLessThanOrEqual(16_000);
  expect(lines.at(-1)).toMatch(/^agent: 99 x/);
  expect(lines.every((line) => /^agent: \d+ x{1000}$/.test(line))).toBe(true);
});

test('of the prompt that a resumed agent began with, the tail has nothing', () => {
  const prompt = `${PROMPT_BEGIN}\n${'earlier work\n'.repeat(1000)}${PROMPT_END}`;
  const { transcriptTail } = reasoningOf([
    { kind: 'said', by: 'user', text: prompt },
    agent('I go on.'),
  ]);
  expect(transcriptTail).toBe('user: [earlier continuation prompt left out]\nagent: I go on.');
});

test('whatever was said and called, the reasoning is one that the server takes', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 50 }),
    // The longest that a text can become as JSON: controls, three bytes each, halves of characters.
    fc.constantFrom('\0', '漢', '\ud800', '"', '\\').map((unit) => unit.repeat(20_000)),
  );
  const entry: fc.Arbitrary<Entry> = fc.oneof(
    fc.record({
      kind: fc.constant('said' as const),
      by: fc.constantFrom('user' as const, 'agent' as const),
      text: fc.oneof(
        text,
        text.map((said) => `Decision: ${said} because ${said}`),
      ),
    }),
    fc.record({
      kind: fc.constant('call' as const),
      id: text,
      tool: text,
      input: fc.oneof(fc.jsonValue(), text),
      at: fc.constantFrom(undefined, 'soon', '2026-01-02T03:04:05.000Z', '2026-99-99T99:99:99Z'),
    }),
    fc.record({ kind: fc.constant('plan' as const), text }),
    fc.record({
      kind: fc.constant('todos' as const),
      todos: fc.array(
        fc.record({
          text,
          state: fc.constantFrom('open' as const, 'doing' as const, 'done' as const),
        }),
        { maxLength: 100 },
      ),
    }),
  );
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 100 }), (entries) => {
      const reasoning = reasoningOf(entries);
      if (Object.keys(reasoning).length === 0) return;
      const taken = reasoningSchema.safeParse(reasoning);
      // A conversation of nothing but white space has nothing to say.
      if (taken.success || /not empty/.test(taken.error.message)) return;
      throw taken.error;
    }),
    { numRuns: 200 },
  );
});

test.each(['漢', '"', '\0', '\ud800'])('at its fullest, in %j, it is below the limit', (unit) => {
  const text = unit.repeat(20_000);
  const entries: Entry[] = [
    { kind: 'plan', text },
    { kind: 'todos', todos: Array.from({ length: 90 }, (_, n) => full(text, n)) },
    ...Array.from({ length: 90 }, () => agent(`Decision: ${text} because ${text}`)),
    ...Array.from({ length: 90 }, (_, n): Entry => ({
      kind: 'call',
      id: String(n),
      tool: text,
      input: text,
    })),
  ];
  expect(reasoningSchema.parse(reasoningOf(entries))).toBeDefined();
});

const full = (text: string, n: number) => ({
  text,
  state: n < 45 ? ('done' as const) : ('open' as const),
});
