import { isatty } from 'node:tty';
import { recipeOf } from '../../adapters/recipe.ts';
import { fill, placeholderProblem, type Values } from '../../services/spawners/placeholders.ts';
import { CliError } from '../frame/errors.ts';

export type NextOptions = {
  /** How any program goes on: a command with placeholders. */
  resumeWith?: string;
  /** The same command again. */
  rerun?: true;
};

/** Makes the command of the next attempt. */
export type NextCommand = (values: Values) => string[];

/**
 * How the work of a command is gone on with: as its user says, else by what is known of the agent that it starts.
 * Undefined: neither.
 *
 * @throws CliError `invalid_option`
 */
export async function nextCommandOf(
  command: string[],
  { resumeWith, rerun }: NextOptions,
): Promise<NextCommand | undefined> {
  if (resumeWith !== undefined) return given(resumeWith);
  if (rerun) return () => command;
  const recipe = await recipeOf(command, isatty(0) && isatty(1));
  return recipe && (({ prompt }) => recipe.withPrompt(prompt));
}

/** The same as words with placeholders, for a worker, which has no terminal. Undefined: a worker cannot go on. */
export async function templateOf(
  command: string[],
  { resumeWith, rerun }: NextOptions,
): Promise<string[] | undefined> {
  const words =
    resumeWith !== undefined
      ? wordsOf(resumeWith)
      : rerun
        ? command
        : (await recipeOf(command, false))?.withPrompt('{prompt}');
  return words && placeholderProblem(words) === undefined ? words : undefined;
}

/** A command of such words. */
export const filled =
  (words: string[]): NextCommand =>
  (values) =>
    words.map((word) => fill(word, values));

function given(text: string): NextCommand {
  const parts = wordsOf(text);
  const problem =
    parts.length === 0
      ? 'names no program.'
      : parts.includes('')
        ? undefined
        : placeholderProblem(parts);
  if (problem !== undefined) throw new CliError('invalid_option', `--resume-with ${problem}`);
  return filled(parts);
}

/** Words, as a shell tells them apart by spaces and quotes; nothing else means anything. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [, word = ''] of text.matchAll(/((?:'[^']*'|"[^"]*"|[^\s'"])+)/g)) {
    words.push(
      word.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, one?: string, two?: string) => one ?? two ?? ''),
    );
  }
  return words;
}
