import type { Command } from 'commander';

/** A command in the table. Only names and summaries are known until it is called. */
export type CommandEntry = {
  name: string;
  summary: string;
  /** Left out of the help. */
  hidden?: boolean;
} & (
  | {
      /** The usual way: adds description, arguments, options and action to the empty command. */
      load: () => Promise<{ define: (command: Command) => void }>;
    }
  | {
      /**
       * For a command whose start-up time counts: called with its arguments before the argument parser
       * is even loaded, and answers with the exit code.
       */
      direct: () => Promise<{ main: (args: string[]) => Promise<number> }>;
    }
);
