import { join } from 'node:path';
import type { Adapter } from './adapter.ts';
import {
  allIn,
  type CommandLine,
  type Part,
  partsOf,
  promptIn,
  valueIn,
  type ReadArguments,
  wordsIn,
} from './command-line.ts';
import type { Entry } from './conversation.ts';
import { type Fields, isFields, neutralHookEvent, textIn } from './event.ts';
import { piExtension } from './plugins.ts';
import { tailObjects } from './tail.ts';

const READ_ONLY = new Set(['find', 'grep', 'ls', 'read']);

// As of `pi --help`.
const COMMAND_LINE: CommandLine = {
  values: [
    '--api-key',
    '--append-system-prompt',
    '--export',
    '--extension',
    '-e',
    '--fork',
    '--mode',
    '--model',
    '--models',
    '--prompt-template',
    '--provider',
    '--session',
    '--session-dir',
    '--session-id',
    '--skill',
    '--system-prompt',
    '--theme',
    '--thinking',
    '--tools',
    '-t',
  ],
  optional: ['--list-models'],
  conversation: ['--continue', '-c', '--fork', '--resume', '-r', '--session', '--session-id'],
};
const COMMANDS = /^(?:auth|config|install|list|mcp|remove|uninstall|update)$/;

/** Words with an `@` name files. */
const isPrompt = ({ option, words: [word = ''] }: Part): boolean =>
  option === undefined && !word.startsWith('@');

const readArguments: ReadArguments = (args) => {
  const parts = partsOf(args, COMMAND_LINE);
  const words = wordsIn(parts.filter(isPrompt));
  if (COMMANDS.test(words[0] ?? '') || valueIn(parts, '--mode') === 'rpc') return undefined;
  const place = parts.findIndex(isPrompt);
  return {
    prompt: promptIn(words),
    // In the place of the first: there are no dashes behind which anything may stand.
    withPrompt: (prompt) => {
      const before = place < 0 ? parts : parts.slice(0, place);
      const after = place < 0 ? [] : parts.slice(place).filter((part) => !isPrompt(part));
      return [...allIn(before), prompt, ...allIn(after)];
    },
  };
};

export const adapter: Adapter = {
  readArguments,
  readOnly: READ_ONLY,
  event: (input) => neutralHookEvent(input, READ_ONLY),
  async conversation({ transcriptPath }) {
    if (transcriptPath === undefined) return [];
    return (await tailObjects(transcriptPath)).flatMap(entriesOf);
  },
  recordsOpenCalls: true,
  settings: ({ project, user, env, home, command }) => ({
    file: {
      kind: 'plugin',
      path: join(
        user ? (env['PI_CODING_AGENT_DIR'] ?? join(home, '.pi', 'agent')) : join(project, '.pi'),
        'extensions',
        'defib.ts',
      ),
      text: piExtension(command),
    },
  }),
};

function entriesOf(line: Fields): Entry[] {
  const { message } = line;
  if (line['type'] !== 'message' || !isFields(message)) return [];
  if (message['role'] === 'toolResult') {
    const id = textIn(message, 'toolCallId');
    return id ? [{ kind: 'result', id }] : [];
  }
  const by = message['role'] === 'assistant' ? 'agent' : 'user';
  if (by === 'user' && message['role'] !== 'user') return [];
  const { content } = message;
  if (typeof content === 'string') return [{ kind: 'said', by, text: content }];
  if (!Array.isArray(content)) return [];
  return content.filter(isFields).flatMap((part): Entry[] => {
    const text = textIn(part, 'text');
    if (text) return [{ kind: 'said', by, text }];
    const id = textIn(part, 'id');
    if (part['type'] !== 'toolCall' || !id) return [];
    return [
      {
        kind: 'call',
        id,
        tool: textIn(part, 'name') ?? 'tool',
        input: part['arguments'],
        at: textIn(line, 'timestamp'),
      },
    ];
  });
}
