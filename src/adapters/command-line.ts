/** How an agent that was started with these arguments is started again. */
export type Recipe = {
  /** What its user asked of it; undefined: nothing, or not on the command line. */
  prompt: string | undefined;
  /** The same arguments with another prompt in the place of theirs. */
  withPrompt(prompt: string): string[];
};

/**
 * Reads the arguments of an agent's program. Undefined where they do not start work on a prompt, such as those of
 * `claude mcp list`.
 *
 * @param interactive whether it has a terminal
 */
export type ReadArguments = (args: readonly string[], interactive: boolean) => Recipe | undefined;

/** How an agent's program reads its arguments, as far as it takes to find the prompt among them. */
export type CommandLine = {
  /** Options that have a value. */
  values: readonly string[];
  /** Options that have as many values as follow. */
  lists?: readonly string[];
  /** Options that may have a value. */
  optional?: readonly string[];
  /** Those that take up an earlier conversation, or name a new one: a new attempt begins one of its own. */
  conversation?: readonly string[];
};

/** An argument with what belongs to it. */
export type Part = { words: string[]; option: string | undefined };

/** The arguments in their order, options with their values; those of the conversation are left out. */
export function partsOf(args: readonly string[], line: CommandLine): Part[] {
  const parts: Part[] = [];
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') {
      return [...parts, ...rest.map((each) => ({ words: [each], option: undefined }))];
    }
    if (!word.startsWith('-') || word === '-') {
      parts.push({ words: [word], option: undefined });
      continue;
    }
    const [option = word, inside] = splitOption(word);
    const words = [word, ...(inside === undefined ? valuesOf(option, rest, line) : [])];
    rest.splice(0, words.length - 1);
    if (!line.conversation?.includes(option)) parts.push({ words, option });
  }
  return withUnknownValues(parts, line);
}

/** `--name=value`; a value may hold anything. */
function splitOption(word: string): [string, string | undefined] {
  const at = word.startsWith('--') ? word.indexOf('=') : -1;
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

function valuesOf(option: string, rest: readonly string[], line: CommandLine): string[] {
  if (line.values.includes(option)) return rest.slice(0, 1);
  const end = rest.findIndex((word) => word.startsWith('-'));
  const words = rest.slice(0, end < 0 ? rest.length : end);
  if (line.lists?.includes(option)) return words;
  return line.optional?.includes(option) ? words.slice(0, 1) : [];
}

/**
 * What follows an option that is not known is taken for its value, as long as another word is left that can be the
 * prompt.
 */
function withUnknownValues(parts: Part[], line: CommandLine): Part[] {
  const known = new Set([...line.values, ...(line.lists ?? []), ...(line.optional ?? [])]);
  const joined: Part[] = [];
  let left = parts.filter(({ option }) => option === undefined).length;
  for (const part of parts) {
    const before = joined.at(-1);
    const isValue =
      part.option === undefined &&
      left > 1 &&
      before?.option?.startsWith('--') &&
      before.words.length === 1 &&
      before.words[0] === before.option &&
      !known.has(before.option) &&
      !isSwitch(before.option);
    if (isValue && before) {
      before.words.push(...part.words);
      left -= 1;
    } else joined.push({ ...part, words: [...part.words] });
  }
  return joined;
}

/** Names that no option with a value has. */
const isSwitch = (option: string): boolean =>
  /^--(?:no-|print$|verbose$|debug$|json$|yolo$|full-auto$|dangerously-|allow-dangerously-|skip-|include-partial)/.test(
    option,
  );

export const wordsIn = (parts: readonly Part[]): string[] =>
  parts.flatMap(({ words, option }) => (option === undefined ? words : []));

/** All words of some arguments. */
export const allIn = (parts: readonly Part[]): string[] => parts.flatMap(({ words }) => words);

export const optionsIn = (parts: readonly Part[]): string[] =>
  parts.flatMap(({ words, option }) => (option === undefined ? [] : words));

/** The value of one of these options, if it is there. */
export function valueIn(parts: readonly Part[], ...names: string[]): string | undefined {
  const part = parts.find(({ option }) => option !== undefined && names.includes(option));
  if (!part) return undefined;
  const [first = '', value] = part.words;
  return value ?? splitOption(first)[1];
}

export const has = (parts: readonly Part[], ...names: string[]): boolean =>
  parts.some(({ option }) => option !== undefined && names.includes(option));

export const without = (parts: readonly Part[], ...names: string[]): Part[] =>
  parts.filter(({ option }) => option === undefined || !names.includes(option));

/** Words that are a prompt; undefined where there are none. */
export const promptIn = (words: readonly string[]): string | undefined =>
  words.length === 0 || (words.length === 1 && words[0] === '-') ? undefined : words.join(' ');
