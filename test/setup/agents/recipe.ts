import type { Agent } from '../../../src/adapters/event.ts';
import type { ToolCall } from '../models/server.ts';

/** Where an agent runs: a home of its own, and a model that the test scripts. */
export type Place = { home: string; worktree: string; modelUrl: string };

/** How an agent is run offline, and what its tools are called. */
export type Recipe = {
  agent: Agent;
  /** Its command and arguments; the prompt goes last. */
  command: string[];
  /** Writes the settings that a user would have in their home. */
  prepare(place: Place): Promise<void>;
  env(place: Place): Record<string, string>;
  /** The call that writes a file, named from the worktree. */
  writeFile(path: string, content: string, worktree: string): ToolCall;
  /** The call that runs a shell command. */
  shell(command: string): ToolCall;
  /** The call that keeps a list of what is to be done; undefined: the agent has none. */
  todos?(items: { text: string; status: 'pending' | 'in_progress' | 'completed' }[]): ToolCall[];
  /** The call that has a subagent do something; undefined: the agent has none. */
  subagent?: ToolCall;
  /** A call that fails without changing anything. */
  failing: ToolCall;
};
