import { Argument, type Command } from 'commander';
import { bashScript, zshScript } from './completion/bash.ts';
import { fishScript } from './completion/fish.ts';
import { nodesOf } from './completion/words.ts';
import { createFullProgram } from './frame/program.ts';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };

export function define(command: Command): void {
  command
    .description('Prints a script that lets your shell complete commands, options and choices.')
    .addArgument(new Argument('<shell>', 'your shell').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      `
Examples:
  echo 'source <(defib completion bash)' >> ~/.bashrc
  echo 'source <(defib completion zsh)' >> ~/.zshrc
  defib completion fish > ~/.config/fish/completions/defib.fish`,
    )
    .action(async (shell: keyof typeof SCRIPTS) => {
      process.stdout.write(SCRIPTS[shell](nodesOf(await createFullProgram())));
    });
}
