import type { Node, OptionWord } from './words.ts';

/** The words after `defib` that are no options: all of them, or the first ones, are these. */
const HELPERS = `
function __defib_words
  string match --invert -- '-*' (commandline -opc)[2..]
end
function __defib_is
  test "$(__defib_words)" = "$argv"
end
function __defib_begins
  set -l words (__defib_words)
  test "$words[1..$(count $argv)]" = "$argv"
end`;

/** A script for fish, with the descriptions of the help. */
export const fishScript = (nodes: Node[]): string =>
  [
    HELPERS,
    'complete -c defib -f',
    ...nodes.flatMap((node) => {
      const condition = `-n ${quote(conditionOf(node))}`;
      return [
        ...node.words.map(
          ({ word, description }) =>
            `complete -c defib ${condition} -a ${quote(word)}${described(description)}`,
        ),
        ...node.options.map((option) => `complete -c defib ${condition} ${optionOf(option)}`),
      ];
    }),
    '',
  ].join('\n');

/** A command with words below it is complete as it stands; another one has arguments of its own. */
const conditionOf = ({ path, words }: Node): string =>
  [words.length > 0 ? '__defib_is' : '__defib_begins', ...path].join(' ');

function optionOf({ flags, description, takesValue, choices }: OptionWord): string {
  const names = flags.map((flag) =>
    flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
  );
  const value = takesValue ? [`-x -a ${quote(choices.join(' '))}`] : [];
  return [...names, ...value].join(' ') + described(description);
}

const described = (description: string): string => (description ? ` -d ${quote(description)}` : '');

const quote = (text: string): string => `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
