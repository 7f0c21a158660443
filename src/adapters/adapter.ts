import type { ReadArguments } from './command-line.ts';
import type { Entry } from './conversation.ts';
import type { Agent, Fields, HookEvent } from './event.ts';
import type { SettingsFile } from './settings.ts';

/** Where an agent's conversation is, as its hooks tell. */
export type TranscriptRef = { sessionRef: string; transcriptPath?: string | undefined };

/** What Defib must know of a coding agent. One file for each: nothing else names its formats. */
export type Adapter = {
  /** What a hook's input says; undefined when it is nothing that Defib needs. */
  event(input: Fields): HookEvent | undefined;
  /** The end of the conversation, oldest first. Empty where nothing can be read. */
  conversation(ref: TranscriptRef): Promise<Entry[]>;
  /** Whether the conversation has a call as soon as it begins. If not, only its events tell of it. */
  recordsOpenCalls: boolean;
  /** Tools that change nothing: whether they came to an end does not matter. */
  readOnly: ReadonlySet<string>;
  /** How its command line is made again with another prompt; undefined: nobody knows. */
  readArguments?: ReadArguments;
  /** What makes the agent call `defib hook`; undefined: it has to be done by hand. */
  settings?(place: Place): Settings;
};

/** Where settings go: into a project, or to a user for all of their projects. */
export type Place = {
  project: string;
  user: boolean;
  env: NodeJS.ProcessEnv;
  home: string;
  /** The command that the agent is to run, `defib hook <agent>` as a shell takes it. */
  command: string;
};

export type Settings = {
  file: SettingsFile;
  /** What the user must still do, if anything. */
  note?: string;
};

const adapters: Record<Agent, () => Promise<{ adapter: Adapter }>> = {
  'claude-code': () => import('./claude-code.ts'),
  codex: () => import('./codex.ts'),
  'gemini-cli': () => import('./gemini-cli.ts'),
  opencode: () => import('./opencode.ts'),
  pi: () => import('./pi.ts'),
  generic: () => import('./generic.ts'),
};

/** Loads the one adapter that is asked for: a hook must start fast. */
export async function adapterOf(agent: Agent): Promise<Adapter> {
  return (await adapters[agent]()).adapter;
}
