import { z } from 'zod';
import { isJson, mapStrings, MAX_JSON_DEPTH } from './json.ts';

/** Most bytes of a reasoning state, measured as JSON in UTF-8. */
export const REASONING_MAX_BYTES = 256 * 1024;

const MAX_ITEMS = 1000;
const MAX_TOOL_CALLS = 200;

/**
 * What PostgreSQL's jsonb and UTF-8 cannot hold gets a visible stand-in: `␀` for NUL, `�` for half of a
 * surrogate pair. Terminal output has such characters, and refusing the reasoning of an agent about to
 * be killed would lose all of it for the sake of one.
 */
const storable = (text: string) => text.replaceAll('\0', '\u2400').toWellFormed();

const text = z.string().overwrite(storable);
const list = <T extends z.ZodType>(item: T, max = MAX_ITEMS) =>
  z.array(item).max(max, `must have at most ${max} items`);

const json = z
  .unknown()
  .refine((value) => value === undefined || isJson(value), {
    message: `must be JSON, nested at most ${MAX_JSON_DEPTH} deep`,
    abort: true,
  })
  .overwrite((value) => mapStrings(value, storable));

/** A tool call that began and has no result: whether it took effect is not known. */
const pendingToolCall = z.strictObject({
  tool: text,
  /** As it was given to the tool. */
  input: json.optional(),
  /** ISO 8601. */
  startedAt: z.iso.datetime({ offset: true, error: 'must be an ISO 8601 time' }).optional(),
});

/**
 * What an agent knows about its work and its files do not show. Every field is optional, but one must
 * say something; {@link REASONING_MAX_BYTES} at most.
 */
export const reasoningSchema = z
  .strictObject({
    objective: text.optional(),
    approach: text.optional(),
    decisions: list(z.strictObject({ what: text, why: text.optional() })).optional(),
    done: list(text).optional(),
    remaining: list(text).optional(),
    nextStep: text.optional(),
    openQuestions: list(text).optional(),
    pendingToolCalls: list(pendingToolCall, MAX_TOOL_CALLS).optional(),
    /** The end of the conversation, as text. */
    transcriptTail: text.optional(),
  })
  .refine((reasoning) => Object.values(reasoning).some(saysSomething), {
    error: 'must have at least one field that is not empty',
  })
  .refine((reasoning) => sizeOf(reasoning) <= REASONING_MAX_BYTES, {
    error: `must have at most ${REASONING_MAX_BYTES} bytes as JSON`,
    params: { code: 'too_large' },
  });

export type Reasoning = z.infer<typeof reasoningSchema>;

function saysSomething(field: string | readonly unknown[] | undefined): boolean {
  if (field === undefined) return false;
  return typeof field === 'string' ? field.trim() !== '' : field.length > 0;
}

function sizeOf(reasoning: unknown): number {
  return Buffer.byteLength(JSON.stringify(reasoning));
}
