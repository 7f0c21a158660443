const NAME = 'promptFile|prompt|worktree|sessionId';
const WHOLE = new RegExp(`^\\{(${NAME})\\}$`);
const INSIDE = new RegExp(`\\{(?:${NAME})\\}`);

export type Values = Record<'promptFile' | 'prompt' | 'worktree' | 'sessionId', string>;

/** The argument, or what it stands for. Braces in a prompt stay as they are. */
export function fill(part: string, values: Values): string {
  const name = WHOLE.exec(part)?.[1] as keyof Values | undefined;
  return name === undefined ? part : values[name];
}

/** Programs that run what their first argument says, or that of an option such as `-c`. */
const INTERPRETER =
  /^(?:(?:ba|da|z|k|a|fi|c|tc)?sh|busybox|pwsh|powershell|cmd|python[\d.]*|perl|ruby|php|node|deno|bun|awk|su|ssh)(?:\.exe)?$/i;

/** Options whose value is code too, alone or behind others: `-c`, `-lc`, `-e`, `--eval`. */
const CODE_OPTION = /^(?:-\w*[cerp]|--(?:eval|print|command|init-command)|-Command|\/c)$/i;

/**
 * Why a command cannot be started with what agents wrote in the place of its placeholders: a prompt quotes
 * objectives and files, and a shell would run what is in them. Undefined: it can.
 */
export function placeholderProblem(command: readonly string[]): string | undefined {
  const part = command.find((each) => INSIDE.test(each) && !WHOLE.test(each));
  if (part !== undefined) {
    return `has a placeholder inside another argument, ${JSON.stringify(part.slice(0, 100))}, where a program may run what a prompt says. ${REMEDY}`;
  }
  if (WHOLE.test(command[0] ?? ''))
    return `must begin with a program, not with a placeholder. ${REMEDY}`;
  const run = command.find((each, at) => WHOLE.test(each) && isRun(command, at));
  if (run === undefined) return undefined;
  return `gives ${run} to an interpreter as the program that it runs. ${REMEDY}`;
}

const REMEDY =
  'Give it as an argument of its own that is only read: ["sh", "-c", "my-agent \\"$1\\"", "--", "{prompt}"], or {promptFile}.';

/** Whether an interpreter runs the argument: its first one that is no option, or the value of an option for code. */
function isRun(command: readonly string[], at: number): boolean {
  for (let from = at - 1; from >= 0; from -= 1) {
    const part = command[from] ?? '';
    if (isInterpreter(part)) return !isNameOfScript(command, from);
    if (CODE_OPTION.test(part) && from === at - 1) continue;
    if (!part.startsWith('-') && part !== '/c') return false;
  }
  return false;
}

const isInterpreter = (part: string): boolean =>
  INTERPRETER.test(part.slice(part.lastIndexOf('/') + 1));

/** In `sh -c <script> sh <argument>` the second `sh` is what the script is called ($0), and runs nothing. */
function isNameOfScript(command: readonly string[], at: number): boolean {
  return CODE_OPTION.test(command[at - 2] ?? '') && command.slice(0, at - 2).some(isInterpreter);
}
