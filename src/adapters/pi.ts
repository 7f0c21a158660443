import { join } from 'node:path';
import type { Adapter } from './adapter.ts';
import type { Entry } from './conversation.ts';
import { type Fields, isFields, neutralHookEvent, textIn } from './event.ts';
import { piExtension } from './plugins.ts';
import { tailObjects } from './tail.ts';

const READ_ONLY = new Set(['find', 'grep', 'ls', 'read']);

export const adapter: Adapter = {
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
