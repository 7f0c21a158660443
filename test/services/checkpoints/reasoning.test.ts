import { OpenAPIHono, createRoute, z } from '@hono/zod-openapi';
import { describe, expect, it } from 'vitest';
import type { Reasoning } from '../../../src/services/checkpoints/reasoning.ts';
import {
  REASONING_MAX_BYTES,
  reasoningSchema,
} from '../../../src/services/checkpoints/reasoning.ts';

const whole: Reasoning = {
  objective: 'Make the import idempotent',
  approach: 'An upsert by the natural key',
  decisions: [{ what: 'ON CONFLICT', why: 'one statement' }, { what: 'no lock' }],
  done: ['the migration'],
  remaining: ['the test', 'the docs'],
  nextStep: 'run the test',
  openQuestions: ['is the key unique?'],
  pendingToolCalls: [
    {
      tool: 'Bash',
      input: { command: 'npm test', n: [1, null, true] },
      startedAt: '2026-11-21T10:00:00Z',
    },
    { tool: 'Read' },
  ],
  transcriptTail: 'assistant: now the test',
};

const problemsOf = (value: unknown) =>
  reasoningSchema
    .safeParse(value)
    .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('a reasoning state', () => {
  it('is read as it was sent, whole or by any one field', () => {
    expect(reasoningSchema.parse(whole)).toEqual(whole);
    for (const [field, value] of Object.entries(whole)) {
      expect(reasoningSchema.parse({ [field]: value })).toEqual({ [field]: value });
    }
  });

  it.each([{}, { objective: ' \n' }, { done: [], nextStep: '' }])(
    'must say something: %j',
    (empty) => {
      expect(problemsOf(empty)).toEqual([': must have at least one field that is not empty']);
    },
  );

  it('is refused with the place of each mistake', () => {
    expect(problemsOf({ objective: 1, plan: 'x' })).toEqual([
      expect.stringContaining('objective: '),
      expect.stringContaining('"plan"'),
    ]);
    expect(problemsOf({ done: ['x', 7] })).toEqual([expect.stringContaining('done.1: ')]);
    expect(problemsOf({ decisions: [{ why: 'because' }] })).toEqual([
      expect.stringContaining('decisions.0.what: '),
    ]);
    expect(problemsOf({ pendingToolCalls: [{ tool: 'Bash', startedAt: 'noon' }] })).toEqual([
      'pendingToolCalls.0.startedAt: must be an ISO 8601 time',
    ]);
    expect(problemsOf({ done: Array.from({ length: 1001 }, String) })).toEqual([
      'done: must have at most 1000 items',
    ]);
  });

  it('may have 256 KiB as UTF-8, and not a byte more', () => {
    const frame = JSON.stringify({ transcriptTail: '' }).length;
    const room = REASONING_MAX_BYTES - frame;
    const fits = { transcriptTail: 'é'.repeat(Math.floor(room / 2)) + 'x'.repeat(room % 2) };
    expect(Buffer.byteLength(JSON.stringify(fits))).toBe(REASONING_MAX_BYTES);
    expect(reasoningSchema.parse(fits)).toEqual(fits);
    expect(problemsOf({ transcriptTail: `${fits.transcriptTail}x` })).toEqual([
      ': must have at most 262144 bytes as JSON',
    ]);
  });

  it('shows in place of NUL and of broken characters that something was there', () => {
    const input = { 'a\0': ['\ud800', { b: 'x\0y' }], 'a␀': 'kept too' };
    expect(
      reasoningSchema.parse({
        nextStep: 'see \0\udc00',
        done: ['\0'],
        pendingToolCalls: [{ tool: 'T', input }],
      }),
    ).toEqual({
      nextStep: 'see ␀�',
      done: ['␀'],
      pendingToolCalls: [{ tool: 'T', input: { 'a␀': ['�', { b: 'x␀y' }], 'a␀ (2)': 'kept too' } }],
    });
  });

  it('takes any JSON as the input of a tool, but not endless nesting', () => {
    const text = '{"__proto__": {"x": [1]}, "": null}';
    const parsed = reasoningSchema.parse({
      pendingToolCalls: [{ tool: 'T', input: JSON.parse(text) as unknown }],
    });
    expect(JSON.stringify(parsed.pendingToolCalls?.[0]?.input)).toBe(text.replaceAll(' ', ''));
    const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as unknown;
    expect(problemsOf({ pendingToolCalls: [{ tool: 'T', input: deep }] })).toEqual([
      'pendingToolCalls.0.input: must be JSON, nested at most 100 deep',
    ]);
  });

  it('is described in an OpenAPI document', () => {
    const app = new OpenAPIHono();
    const body = z.strictObject({ reasoning: reasoningSchema.openapi('Reasoning') });
    const route = createRoute({
      method: 'post',
      path: '/',
      request: { body: { required: true, content: { 'application/json': { schema: body } } } },
      responses: { 204: { description: '' } },
    });
    app.openapi(route, (c) => c.body(null, 204));
    const document = app.getOpenAPI31Document({
      openapi: '3.1.0',
      info: { title: '', version: '' },
    });
    expect(document.components?.schemas?.['Reasoning']).toMatchObject({
      type: 'object',
      additionalProperties: false,
      properties: {
        decisions: { type: 'array', maxItems: 1000 },
        pendingToolCalls: { items: { required: ['tool'], properties: { input: {} } } },
        transcriptTail: { type: 'string' },
      },
    });
  });
});
