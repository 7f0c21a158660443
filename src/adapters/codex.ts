import { join } from 'node:path';
import type { Adapter } from './adapter.ts';
import {
  type CommandLine,
  partsOf,
  promptIn,
  type ReadArguments,
  wordsIn,
} from './command-line.ts';
import { type Entry, todo } from './conversation.ts';
import { type AgentEvent, commandHookEvent, type Fields, isFields, textIn } from './event.ts';
import { commandHooks } from './settings.ts';
import { tailObjects } from './tail.ts';

const KINDS: Record<string, AgentEvent['kind']> = {
  PreToolUse: 'tool-start',
  PostToolUse: 'tool-end',
  // After one it would be too soon: the tool calls come then.
  PreModelRequest: 'turn',
  SubagentStop: 'turn',
  Stop: 'stop',
};

const READ_ONLY = new Set([
  'get_goal',
  'create_goal',
  'update_goal',
  'request_user_input',
  'tool_search',
  'update_plan',
  'view_image',
  'web_search',
]);

// As of `codex --help` and `codex exec --help`.
const COMMAND_LINE: CommandLine = {
  values: [
    '--add-dir',
    '--ask-for-approval',
    '-a',
    '--cd',
    '-C',
    '--color',
    '--config',
    '-c',
    '--disable',
    '--enable',
    '--local-provider',
    '--model',
    '-m',
    '--output-last-message',
    '-o',
    '--output-schema',
    '--profile',
    '-p',
    '--remote',
    '--sandbox',
    '-s',
  ],
  lists: ['--image', '-i'],
};
const COMMANDS =
  /^(?:a|app|app-server|apply|cloud|cloud-tasks|completion|debug|features|fork|login|logout|mcp|mcp-server|plugin|proto|resume|review|sandbox|update)$/;

const readArguments: ReadArguments = (args) => {
  const parts = partsOf(args, COMMAND_LINE);
  const [first = '', ...rest] = wordsIn(parts);
  const headless = first === 'exec' || first === 'e';
  const words = headless ? rest : wordsIn(parts);
  // Those that go on with, or look at, what another conversation did take no prompt of ours.
  if (COMMANDS.test(words[0] ?? '')) return undefined;
  // Options before the command are not all handed on to it: all stay where they are.
  const kept = headless
    ? parts.filter(({ option, words: [word] }) => option !== undefined || word === first)
    : parts.filter(({ option }) => option !== undefined);
  return {
    prompt: promptIn(words),
    withPrompt: (prompt) => [...kept.flatMap((part) => part.words), '--', prompt],
  };
};

export const adapter: Adapter = {
  readArguments,
  readOnly: READ_ONLY,
  event: (input) => commandHookEvent(input, KINDS, READ_ONLY),
  async conversation({ transcriptPath }) {
    if (transcriptPath === undefined) return [];
    return (await tailObjects(transcriptPath)).flatMap(entriesOf);
  },
  recordsOpenCalls: true,
  settings: ({ project, user, env, home, command }) => ({
    file: commandHooks(
      join(
        user ? (env['CODEX_HOME'] ?? join(home, '.codex')) : join(project, '.codex'),
        'hooks.json',
      ),
      Object.keys(KINDS),
      { command, timeout: 10 },
    ),
    note: [
      'Codex runs a hook only once you have trusted it: start `codex`, type /hooks, and trust these.',
      '`codex exec` on a machine without a person takes --dangerously-bypass-hook-trust instead.',
      ...(user ? [] : ['A project’s hooks are read only where Codex trusts the project.']),
    ].join('\n'),
  }),
};

/** A line of the rollout file; the model's own items are all that counts here. */
function entriesOf(line: Fields): Entry[] {
  const { payload } = line;
  if (line['type'] !== 'response_item' || !isFields(payload)) return [];
  const id = textIn(payload, 'call_id');
  switch (payload['type']) {
    case 'message':
      return said(payload);
    case 'function_call':
    case 'custom_tool_call':
      return id ? call(payload, id, textIn(line, 'timestamp')) : [];
    case 'function_call_output':
    case 'custom_tool_call_output':
      return id ? [{ kind: 'result', id }] : [];
    default:
      return [];
  }
}

function said({ role, content }: Fields): Entry[] {
  const by = role === 'assistant' ? 'agent' : 'user';
  if ((role !== 'assistant' && role !== 'user') || !Array.isArray(content)) return [];
  return content.filter(isFields).flatMap((part) => {
    const text = textIn(part, 'text');
    // What Codex itself puts in the user's mouth is in tags: environment, instructions, skills.
    if (!text || (by === 'user' && text.startsWith('<'))) return [];
    return [{ kind: 'said', by, text }];
  });
}

function call(payload: Fields, id: string, at: string | undefined): Entry[] {
  const tool = textIn(payload, 'name') ?? 'tool';
  const input = payload['input'] ?? parsed(textIn(payload, 'arguments'));
  return [{ kind: 'call', id, tool, input, at }, ...planIn(tool, input)];
}

function planIn(tool: string, input: unknown): Entry[] {
  if (tool !== 'update_plan' || !isFields(input)) return [];
  const explanation = textIn(input, 'explanation');
  const steps = Array.isArray(input['plan']) ? input['plan'].filter(isFields) : [];
  return [
    ...(explanation ? [{ kind: 'plan' as const, text: explanation }] : []),
    { kind: 'todos', todos: steps.flatMap(({ step, status }) => todo(step, status)) },
  ];
}

function parsed(json: string | undefined): unknown {
  try {
    return JSON.parse(json ?? '{}');
  } catch {
    return json;
  }
}
