import { join } from 'node:path';
import type { Adapter } from './adapter.ts';
import {
  type CommandLine,
  has,
  optionsIn,
  partsOf,
  promptIn,
  type ReadArguments,
  valueIn,
  without,
  wordsIn,
} from './command-line.ts';
import { type Entry, todo } from './conversation.ts';
import { type AgentEvent, commandHookEvent, type Fields, isFields, textIn } from './event.ts';
import { commandHooks } from './settings.ts';
import { tailObjects } from './tail.ts';

const KINDS: Record<string, AgentEvent['kind']> = {
  BeforeTool: 'tool-start',
  AfterTool: 'tool-end',
  AfterAgent: 'stop',
};

const READ_ONLY = new Set([
  'activate_skill',
  'ask_user',
  'cli_help',
  'enter_plan_mode',
  'exit_plan_mode',
  'get_internal_docs',
  'glob',
  'google_web_search',
  'grep_search',
  'list_background_processes',
  'list_directory',
  'read_background_output',
  'read_file',
  'read_many_files',
  'search_file_content',
  'update_topic',
  'web_fetch',
  'write_todos',
]);

// As of `gemini --help`.
const COMMAND_LINE: CommandLine = {
  values: [
    '--approval-mode',
    '--delete-session',
    '--model',
    '-m',
    '--output-format',
    '-o',
    '--prompt',
    '-p',
    '--prompt-interactive',
    '-i',
    '--session-id',
  ],
  lists: [
    '--admin-policy',
    '--allowed-mcp-server-names',
    '--allowed-tools',
    '--extensions',
    '-e',
    '--include-directories',
    '--policy',
  ],
  optional: ['--resume', '-r', '--worktree', '-w'],
  conversation: ['--resume', '-r', '--session-id'],
};
const COMMANDS = /^(?:extensions?|gemma|hooks?|mcp|skills?|update)$/;
const HEADLESS = ['--prompt', '-p'];
const THEN_INTERACTIVE = ['--prompt-interactive', '-i'];

const readArguments: ReadArguments = (args, interactive) => {
  const parts = partsOf(args, COMMAND_LINE);
  const words = wordsIn(parts);
  if (COMMANDS.test(words[0] ?? '')) return undefined;
  const stays = has(parts, ...THEN_INTERACTIVE) || (interactive && !has(parts, ...HEADLESS));
  const kept = optionsIn(without(parts, ...HEADLESS, ...THEN_INTERACTIVE));
  return {
    prompt: valueIn(parts, ...HEADLESS, ...THEN_INTERACTIVE) ?? promptIn(words),
    withPrompt: (prompt) => [...kept, `--prompt${stays ? '-interactive' : ''}=${prompt}`],
  };
};

export const adapter: Adapter = {
  readArguments,
  readOnly: READ_ONLY,
  event: (input) => commandHookEvent(input, KINDS, READ_ONLY),
  async conversation({ transcriptPath }) {
    if (transcriptPath === undefined) return [];
    return latest(await tailObjects(transcriptPath)).flatMap(entriesOf);
  },
  recordsOpenCalls: false,
  settings: ({ project, user, env, home, command }) => ({
    file: commandHooks(
      join(user ? (env['GEMINI_CLI_HOME'] ?? home) : project, '.gemini', 'settings.json'),
      Object.keys(KINDS),
      { command, name: 'defib', timeout: 10_000 },
    ),
    ...(!user && { note: 'Gemini CLI reads a project’s hooks only where it trusts the folder.' }),
  }),
};

/** A message is written again, whole and under its id, when its tool calls are done. */
function latest(lines: Fields[]): Fields[] {
  const byId = new Map<string, Fields>();
  for (const line of lines) {
    const id = textIn(line, 'id');
    if (id) byId.set(id, line);
  }
  return [...byId.values()];
}

function entriesOf(message: Fields): Entry[] {
  if (message['type'] === 'user') return parts(message['content']).flatMap(userPart);
  if (message['type'] !== 'gemini') return [];
  const text = parts(message['content'])
    .flatMap((part) => textIn(part, 'text') ?? [])
    .join('\n');
  const calls = Array.isArray(message['toolCalls']) ? message['toolCalls'].filter(isFields) : [];
  return [
    ...(text ? [{ kind: 'said' as const, by: 'agent' as const, text }] : []),
    ...calls.flatMap(callEntries),
  ];
}

const parts = (content: unknown): Fields[] =>
  typeof content === 'string'
    ? [{ text: content }]
    : Array.isArray(content)
      ? content.filter(isFields)
      : [];

function userPart(part: Fields): Entry[] {
  const { functionResponse } = part;
  const id = isFields(functionResponse) ? textIn(functionResponse, 'id') : undefined;
  if (id) return [{ kind: 'result', id }];
  const text = textIn(part, 'text');
  return text && !text.startsWith('<session_context>') ? [{ kind: 'said', by: 'user', text }] : [];
}

function callEntries(call: Fields): Entry[] {
  const id = textIn(call, 'id');
  const tool = textIn(call, 'name');
  if (!id || !tool) return [];
  const input = isFields(call['args']) ? call['args'] : {};
  const todos = Array.isArray(input['todos']) ? input['todos'].filter(isFields) : [];
  const plan = tool === 'exit_plan_mode' ? textIn(input, 'plan') : undefined;
  return [
    { kind: 'call', id, tool, input, at: textIn(call, 'timestamp') },
    ...(tool === 'write_todos'
      ? [
          {
            kind: 'todos' as const,
            todos: todos.flatMap(({ description, status }) => todo(description, status)),
          },
        ]
      : []),
    ...(plan ? [{ kind: 'plan' as const, text: plan }] : []),
    ...(call['result'] === undefined ? [] : [{ kind: 'result' as const, id }]),
  ];
}
