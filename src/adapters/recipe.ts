import { basename } from 'node:path';
import { adapterOf } from './adapter.ts';
import type { Recipe } from './command-line.ts';
import type { Agent } from './event.ts';

/** The agents' programs and packages, as they are called on a command line. */
const PROGRAMS: Record<string, Agent> = {
  claude: 'claude-code',
  '@anthropic-ai/claude-code': 'claude-code',
  codex: 'codex',
  '@openai/codex': 'codex',
  gemini: 'gemini-cli',
  '@google/gemini-cli': 'gemini-cli',
  opencode: 'opencode',
  'opencode-ai': 'opencode',
  pi: 'pi',
  '@mariozechner/pi-coding-agent': 'pi',
};

/** Programs that run the program that is named behind their options. */
const RUNNERS = new Set(['env', 'nice', 'nohup', 'stdbuf', 'npx', 'bunx', 'pnpx']);

/** The agent that a command starts, and where in it its program stands. */
export function agentIn(command: readonly string[]): { agent: Agent; at: number } | undefined {
  for (const [at, word] of command.entries()) {
    const agent = agentNamed(word);
    if (agent) return { agent, at };
    const mayStandBefore = at > 0 && /^-|^[A-Za-z_]\w*=|^\d+$/.test(word);
    if (!RUNNERS.has(basename(word)) && !mayStandBefore) return undefined;
  }
  return undefined;
}

/** `claude`, `/opt/bin/claude`, `@anthropic-ai/claude-code@latest`. */
function agentNamed(word: string): Agent | undefined {
  const name = word.startsWith('@') ? word.replace(/(?<=.)@[^/@]*$/, '') : basename(word);
  return Object.hasOwn(PROGRAMS, name) ? PROGRAMS[name] : undefined;
}

/** The recipe of a whole command; undefined where no agent is known that it starts. */
export async function recipeOf(
  command: readonly string[],
  interactive: boolean,
): Promise<Recipe | undefined> {
  const found = agentIn(command);
  if (!found) return undefined;
  const { readArguments } = await adapterOf(found.agent);
  const recipe = readArguments?.(command.slice(found.at + 1), interactive);
  if (!recipe) return undefined;
  const program = command.slice(0, found.at + 1);
  return { ...recipe, withPrompt: (prompt) => [...program, ...recipe.withPrompt(prompt)] };
}
