import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Adapter, TranscriptRef } from './adapter.ts';
import {
  type CommandLine,
  optionsIn,
  partsOf,
  promptIn,
  valueIn,
  type ReadArguments,
  wordsIn,
} from './command-line.ts';
import { type Entry, todo, type Todo } from './conversation.ts';
import { type AgentEvent, commandHookEvent, type Fields, isFields, textIn } from './event.ts';
import { commandHooks } from './settings.ts';
import { tailObjects } from './tail.ts';

const KINDS: Record<string, AgentEvent['kind']> = {
  PreToolUse: 'tool-start',
  PostToolUse: 'tool-end',
  PostToolUseFailure: 'tool-end',
  PostToolBatch: 'turn',
  SubagentStop: 'turn',
  Stop: 'stop',
};

const READ_ONLY = new Set([
  'AskUserQuestion',
  'BashOutput',
  'CronList',
  'ExitPlanMode',
  'Glob',
  'Grep',
  'LS',
  'ListAgents',
  'NotebookRead',
  'Read',
  'ReportFindings',
  'TaskCreate',
  'TaskGet',
  'TaskList',
  'TaskOutput',
  'TaskUpdate',
  'TodoWrite',
  'ToolSearch',
  'WebFetch',
  'WebSearch',
]);

// As of `claude --help`.
const COMMAND_LINE: CommandLine = {
  values: [
    '--agent',
    '--agents',
    '--append-system-prompt',
    '--append-system-prompt-file',
    '--debug-file',
    '--effort',
    '--fallback-model',
    '--input-format',
    '--json-schema',
    '--max-budget-usd',
    '--max-turns',
    '--model',
    '--name',
    '-n',
    '--output-format',
    '--permission-mode',
    '--permission-prompt-tool',
    '--plugin-dir',
    '--session-id',
    '--setting-sources',
    '--settings',
    '--system-prompt',
    '--system-prompt-file',
  ],
  lists: [
    '--add-dir',
    '--allowedTools',
    '--allowed-tools',
    '--betas',
    '--disallowedTools',
    '--disallowed-tools',
    '--file',
    '--mcp-config',
    '--tools',
  ],
  optional: ['--debug', '-d', '--from-pr', '--resume', '-r', '--worktree', '-w'],
  conversation: [
    '--continue',
    '-c',
    '--fork-session',
    '--from-pr',
    '--resume',
    '-r',
    '--session-id',
  ],
};
const COMMANDS =
  /^(?:agents|auth|auto-mode|config|doctor|install|mcp|migrate-installer|plugins?|setup-token|update|upgrade)$/;

const readArguments: ReadArguments = (args) => {
  const parts = partsOf(args, COMMAND_LINE);
  const words = wordsIn(parts);
  // With that, the prompts come on standard input.
  if (COMMANDS.test(words[0] ?? '') || valueIn(parts, '--input-format') === 'stream-json') {
    return undefined;
  }
  return {
    prompt: promptIn(words),
    // Behind the dashes no option that has a list takes it for a part of that.
    withPrompt: (prompt) => [...optionsIn(parts), '--', prompt],
  };
};

export const adapter: Adapter = {
  event: (input) => commandHookEvent(input, KINDS, READ_ONLY),
  conversation,
  recordsOpenCalls: true,
  readArguments,
  readOnly: READ_ONLY,
  settings: ({ project, user, env, home, command }) => ({
    file: commandHooks(
      join(
        user ? (env['CLAUDE_CONFIG_DIR'] ?? join(home, '.claude')) : join(project, '.claude'),
        'settings.json',
      ),
      Object.keys(KINDS),
      { command, timeout: 10 },
    ),
  }),
};

async function conversation({ transcriptPath }: TranscriptRef): Promise<Entry[]> {
  if (transcriptPath === undefined) return [];
  const [lines, todos] = await Promise.all([
    tailObjects(transcriptPath),
    tasksOf(transcriptPath).catch(() => []),
  ]);
  return [
    ...lines.flatMap(entriesOf),
    ...(todos.length > 0 ? [{ kind: 'todos' as const, todos }] : []),
  ];
}

function entriesOf(line: Fields): Entry[] {
  const { message } = line;
  // A sidechain is a subagent's talk with itself; meta lines are the agent's own remarks.
  if (!isFields(message) || line['isSidechain'] === true || line['isMeta'] === true) return [];
  const at = textIn(line, 'timestamp');
  if (line['type'] === 'user') return blocks(message).flatMap(userBlock);
  if (line['type'] === 'assistant')
    return blocks(message).flatMap((block) => agentBlock(block, at));
  return [];
}

const blocks = ({ content }: Fields): Fields[] =>
  typeof content === 'string'
    ? [{ type: 'text', text: content }]
    : Array.isArray(content)
      ? content.filter(isFields)
      : [];

function userBlock(block: Fields): Entry[] {
  const id = textIn(block, 'tool_use_id');
  if (block['type'] === 'tool_result' && id) return [{ kind: 'result', id }];
  const text = textIn(block, 'text');
  return text ? [{ kind: 'said', by: 'user', text }] : [];
}

function agentBlock(block: Fields, at: string | undefined): Entry[] {
  const text = textIn(block, 'text');
  if (block['type'] === 'text' && text) return [{ kind: 'said', by: 'agent', text }];
  const id = textIn(block, 'id');
  const tool = textIn(block, 'name');
  if (block['type'] !== 'tool_use' || !id || !tool) return [];
  const input = isFields(block['input']) ? block['input'] : {};
  return [{ kind: 'call', id, tool, input, at }, ...planIn(tool, input)];
}

/** Plan mode ends with the plan; older versions keep their to-dos with a tool of this name. */
function planIn(tool: string, input: Fields): Entry[] {
  const plan = textIn(input, 'plan');
  if (tool === 'ExitPlanMode' && plan) return [{ kind: 'plan', text: plan }];
  const { todos } = input;
  if (tool !== 'TodoWrite' || !Array.isArray(todos)) return [];
  return [
    {
      kind: 'todos',
      todos: todos.filter(isFields).flatMap(({ content, status }) => todo(content, status)),
    },
  ];
}

const MAX_TASKS = 200;

/**
 * The task list, one small file for each task. The transcript has it only as changes, which may be
 * further back than what is read of it.
 */
async function tasksOf(transcriptPath: string): Promise<Todo[]> {
  const session = basename(transcriptPath, '.jsonl');
  const folder = join(dirname(transcriptPath), '..', '..', 'tasks', session);
  const ids = (await readdir(folder))
    .flatMap((name) => (/^\d+\.json$/.test(name) ? [Number.parseInt(name, 10)] : []))
    .sort((a, b) => a - b)
    .slice(-MAX_TASKS);
  const tasks = await Promise.all(
    ids.map(async (id) => JSON.parse(await readFile(join(folder, `${id}.json`), 'utf8')) as Fields),
  );
  return tasks.flatMap(({ subject, status }) => todo(subject, status));
}
