import { mapStrings } from '../checkpoints/json.ts';
import { continuationPrompt } from './continuation-prompt.ts';
import type { ContinuationInput } from './continuation-prompt.ts';
import { withoutPrompts } from './prompt-text.ts';

/** The prompt, and whole and as data what it was made of. */
export type ContinuationJson = { continuation: string } & ContinuationInput;

/** The prompt for programs, with what it was made of. Only the prompt has a limit in bytes. */
export function continuationJson(
  input: ContinuationInput,
  continuation = continuationPrompt(input),
): ContinuationJson {
  return {
    continuation,
    ...mapStrings(input, (text, _path, kind) => (kind === 'key' ? text : withoutPrompts(text))),
  };
}
