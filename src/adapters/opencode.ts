import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Adapter, TranscriptRef } from './adapter.ts';
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
import { type Fields, isFields, neutralHookEvent, textIn } from './event.ts';
import { openCodePlugin } from './plugins.ts';

const READ_ONLY = new Set([
  'codesearch',
  'glob',
  'grep',
  'list',
  'lsp',
  'question',
  'read',
  'skill',
  'todoread',
  'todowrite',
  'webfetch',
  'websearch',
]);

// As of `opencode --help` and `opencode run --help`.
const COMMAND_LINE: CommandLine = {
  values: [
    '--agent',
    '--attach',
    '--command',
    '--cors',
    '--dir',
    '--format',
    '--hostname',
    '--log-level',
    '--mdns-domain',
    '--model',
    '-m',
    '--password',
    '-p',
    '--port',
    '--prompt',
    '--session',
    '-s',
    '--title',
    '--username',
    '-u',
    '--variant',
  ],
  lists: ['--file', '-f'],
  conversation: ['--continue', '-c', '--fork', '--session', '-s'],
};
const COMMANDS =
  /^(?:acp|agent|attach|auth|completion|db|debug|export|github|import|mcp|models|plugin|plug|pr|providers|serve|session|stats|uninstall|upgrade|web)$/;

const readArguments: ReadArguments = (args) => {
  const parts = partsOf(args, COMMAND_LINE);
  const [first = '', ...words] = wordsIn(parts);
  if (first === 'run') {
    const options = optionsIn(without(parts, '--command'));
    const command = valueIn(parts, '--command');
    const named = command === undefined ? [] : [`/${command}`];
    return {
      prompt: promptIn([...named, ...words]),
      withPrompt: (prompt) => ['run', ...options, '--', prompt],
    };
  }
  if (COMMANDS.test(first)) return undefined;
  // Without a command, the one word is the folder.
  const kept = without(parts, '--prompt').flatMap((part) => part.words);
  return {
    prompt: has(parts, '--prompt') ? valueIn(parts, '--prompt') : undefined,
    withPrompt: (prompt) => [...kept, `--prompt=${prompt}`],
  };
};

export const adapter: Adapter = {
  readArguments,
  readOnly: READ_ONLY,
  event: (input) => neutralHookEvent(input, READ_ONLY),
  conversation,
  recordsOpenCalls: true,
  settings: ({ project, user, env, home, command }) => ({
    file: {
      kind: 'plugin',
      path: join(
        user
          ? join(env['XDG_CONFIG_HOME'] ?? join(home, '.config'), 'opencode')
          : join(project, '.opencode'),
        'plugins',
        'defib.js',
      ),
      text: openCodePlugin(command),
    },
  }),
};

/** How much of the end of a conversation is read: parts, of which a turn has about four. */
const MAX_PARTS = 400;

type Row = { role: string | null; data: string };

/**
 * OpenCode keeps its conversations in SQLite. It is opened for reading only, beside OpenCode, which
 * its write-ahead log allows.
 */
async function conversation({ sessionRef, transcriptPath }: TranscriptRef): Promise<Entry[]> {
  if (transcriptPath === undefined || !existsSync(transcriptPath)) return [];
  const { DatabaseSync } = await import('node:sqlite');
  const db = new DatabaseSync(transcriptPath, { readOnly: true });
  try {
    const rows = db
      .prepare(
        `SELECT message.data ->> 'role' AS role, part.data AS data
         FROM part JOIN message ON message.id = part.message_id
         WHERE part.session_id = ? ORDER BY part.id DESC LIMIT ?`,
      )
      .all(sessionRef, MAX_PARTS) as Row[];
    const todos = db
      .prepare('SELECT content, status FROM todo WHERE session_id = ? ORDER BY position')
      .all(sessionRef) as Fields[];
    return [
      ...rows.toReversed().flatMap(entriesOf),
      { kind: 'todos', todos: todos.flatMap(({ content, status }) => todo(content, status)) },
    ];
  } finally {
    db.close();
  }
}

function entriesOf({ role, data }: Row): Entry[] {
  const part: unknown = JSON.parse(data);
  if (!isFields(part)) return [];
  const text = textIn(part, 'text');
  if (part['type'] === 'text' && text) {
    return [{ kind: 'said', by: role === 'assistant' ? 'agent' : 'user', text }];
  }
  const id = textIn(part, 'callID');
  const { state } = part;
  if (part['type'] !== 'tool' || !id || !isFields(state)) return [];
  const started = isFields(state['time']) ? state['time']['start'] : undefined;
  const ended = state['status'] === 'completed' || state['status'] === 'error';
  return [
    {
      kind: 'call',
      id,
      tool: textIn(part, 'tool') ?? 'tool',
      input: state['input'],
      at: typeof started === 'number' ? new Date(started).toISOString() : undefined,
    },
    ...(ended ? [{ kind: 'result' as const, id }] : []),
  ];
}
