import type { Command, Option } from 'commander';

/** What can follow a command: `defib`, `defib token`, `defib token issue`, … */
export type Node = {
  /** Words after `defib`: `[]`, `['token']`, `['token', 'issue']`. */
  path: string[];
  /** Subcommands, and choices of the first argument. */
  words: Word[];
  options: OptionWord[];
};

export type Word = { word: string; description: string };

export type OptionWord = {
  /** `--limit` and, where there is one, `-n`. */
  flags: string[];
  description: string;
  takesValue: boolean;
  /** Values that are known; empty where any will do. */
  choices: readonly string[];
};

/** The command and everything below it, as the argument parser knows it. */
export function nodesOf(command: Command, path: string[] = []): Node[] {
  const help = command.createHelp();
  const subcommands = help
    .visibleCommands(command)
    .filter((subcommand) => subcommand.name() !== 'help');
  const choices = command.registeredArguments[0]?.argChoices ?? [];
  const node: Node = {
    path,
    words: [
      ...subcommands.map((subcommand) => ({
        word: subcommand.name(),
        description: help.subcommandDescription(subcommand),
      })),
      ...choices.map((word) => ({ word, description: '' })),
    ],
    options: help.visibleOptions(command).map(optionWord),
  };
  const below = subcommands.flatMap((subcommand) =>
    nodesOf(subcommand, [...path, subcommand.name()]),
  );
  return [node, ...below];
}

const optionWord = (option: Option): OptionWord => ({
  flags: [option.long, option.short].filter((flag) => flag !== undefined),
  description: option.description,
  takesValue: option.required || option.optional,
  choices: option.argChoices ?? [],
});
