import {
  type Dialect,
  type Json,
  newCallId,
  type ServerSentEvent,
  textOf,
  type Turn,
} from './turn.ts';

/** Anthropic Messages: `POST /v1/messages`. */
export const anthropic: Dialect = {
  read: (body) => ({
    input: [
      { role: 'system', text: textOf(body.system) },
      ...body.messages.map(({ role, content }: Json) => ({ role, text: textOf(content) })),
    ],
    tools: (body.tools ?? []).map(({ name }: Json) => name),
  }),
  whole: message,
  events(turn, model) {
    const { content, stop_reason, usage, ...start } = message(turn, model);
    return [
      named('message_start', { message: { ...start, content: [], stop_reason: null, usage } }),
      ...content.flatMap(block),
      named('message_delta', { delta: { stop_reason, stop_sequence: null }, usage }),
      named('message_stop', {}),
    ];
  },
};

function message(turn: Turn, model: string): Json {
  const calls = turn.calls ?? [];
  return {
    id: newCallId('msg'),
    type: 'message',
    role: 'assistant',
    model,
    content: [
      ...(turn.text === undefined ? [] : [{ type: 'text', text: turn.text }]),
      ...calls.map(({ tool, input }) => ({
        type: 'tool_use',
        id: newCallId('toolu'),
        name: tool,
        input,
      })),
    ],
    stop_reason: calls.length > 0 ? 'tool_use' : 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 10, output_tokens: 10 },
  };
}

function block(content: Json, index: number): ServerSentEvent[] {
  const [empty, delta] =
    content.type === 'text'
      ? [
          { type: 'text', text: '' },
          { type: 'text_delta', text: content.text },
        ]
      : [
          { ...content, input: {} },
          { type: 'input_json_delta', partial_json: JSON.stringify(content.input) },
        ];
  return [
    named('content_block_start', { index, content_block: empty }),
    named('content_block_delta', { index, delta }),
    named('content_block_stop', { index }),
  ];
}

const named = (type: string, fields: Record<string, unknown>): ServerSentEvent => ({
  event: type,
  data: JSON.stringify({ type, ...fields }),
});
