import type { Node } from './words.ts';

/**
 * A script for bash, and for zsh by its bashcompinit. It asks nobody: everything is in it, so that TAB
 * answers at once.
 */
export const bashScript = (nodes: Node[]): string => `
_defib_complete() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at= list= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at/\${COMP_WORDS[i]}" in
      ${commandPaths(nodes).map(quote).join(' | ')}) at="$at/\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at $prev" in
${nodes.flatMap(valueCases).join('\n')}
    *)
      case "$at" in
${nodes.map(wordCase).join('\n')}
      esac
      ;;
  esac
  COMPREPLY=($(compgen -W "$list" -- "$cur"))
}
complete -o default -F _defib_complete defib
`;

export const zshScript = (nodes: Node[]): string =>
  `autoload -Uz +X compinit bashcompinit && compinit && bashcompinit\n${bashScript(nodes)}`;

const commandPaths = (nodes: Node[]): string[] =>
  nodes.filter(({ path }) => path.length > 0).map(pathOf);

const pathOf = ({ path }: Node): string => path.map((word) => `/${word}`).join('');

/** After an option that takes a value: the values that are known, else files as ever. */
const valueCases = (node: Node): string[] =>
  node.options
    .filter(({ takesValue }) => takesValue)
    .map(({ flags, choices }) => {
      const patterns = flags.map((flag) => quote(`${pathOf(node)} ${flag}`)).join(' | ');
      return `    ${patterns}) list=${quote(choices.join(' '))} ;;`;
    });

function wordCase(node: Node): string {
  const flags = node.options.flatMap((option) => option.flags);
  const all = [...node.words.map(({ word }) => word), ...flags];
  return `        ${quote(pathOf(node))}) list=${quote(all.join(' '))} ;;`;
}

const quote = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
