import {
  type Dialect,
  type Json,
  newCallId,
  type ServerSentEvent,
  textOf,
  type ToolCall,
  type Turn,
} from './turn.ts';

/** OpenAI Responses: `POST /v1/responses`. */
export const responses: Dialect = {
  read: (body) => ({
    input: [
      { role: 'system', text: textOf(body.instructions) },
      ...items(body.input).map((item: Json) => ({
        role: item.role ?? item.type,
        text: textOf(item),
      })),
    ],
    tools: (body.tools ?? []).map(({ name, type }: Json) => name ?? type),
  }),
  whole: (turn, model) => response(turn, model),
  events(turn, model) {
    const done = response(turn, model);
    const begun = { ...done, status: 'in_progress', output: [] };
    const events = [
      { type: 'response.created', response: begun },
      ...done.output.flatMap(outputItem),
      { type: 'response.completed', response: done },
    ];
    return events.map((event, sequence_number) => named({ ...event, sequence_number }));
  },
};

const items = (input: Json): Json[] =>
  typeof input === 'string' ? [{ role: 'user', content: input }] : input;

function response(turn: Turn, model: string): Json {
  return {
    id: newCallId('resp'),
    object: 'response',
    created_at: 0,
    status: 'completed',
    model,
    output: [
      ...(turn.text === undefined ? [] : [message(turn.text)]),
      ...(turn.calls ?? []).map(call),
    ],
    usage: {
      input_tokens: 10,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 10,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 20,
    },
  };
}

const message = (text: string): Json => ({
  id: newCallId('msg'),
  type: 'message',
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text, annotations: [] }],
});

/** Free-form tools take text, the others JSON. */
function call({ tool, namespace, input }: ToolCall): Json {
  const ids = {
    id: newCallId('item'),
    call_id: newCallId('call'),
    status: 'completed',
    name: tool,
    ...(namespace && { namespace }),
  };
  return typeof input === 'string'
    ? { ...ids, type: 'custom_tool_call', input }
    : { ...ids, type: 'function_call', arguments: JSON.stringify(input) };
}

function outputItem(item: Json, output_index: number): Json[] {
  const at = { item_id: item.id, output_index };
  const added = { type: 'response.output_item.added', output_index };
  const done = { type: 'response.output_item.done', output_index, item };
  switch (item.type) {
    case 'message': {
      const part = { ...at, content_index: 0 };
      const { text } = item.content[0];
      return [
        { ...added, item: { ...item, status: 'in_progress', content: [] } },
        {
          type: 'response.content_part.added',
          ...part,
          part: { type: 'output_text', text: '', annotations: [] },
        },
        { type: 'response.output_text.delta', ...part, delta: text },
        { type: 'response.output_text.done', ...part, text },
        { type: 'response.content_part.done', ...part, part: item.content[0] },
        done,
      ];
    }
    case 'custom_tool_call':
      return [
        { ...added, item: { ...item, status: 'in_progress', input: '' } },
        { type: 'response.custom_tool_call_input.delta', ...at, delta: item.input },
        { type: 'response.custom_tool_call_input.done', ...at, input: item.input },
        done,
      ];
    default:
      return [
        { ...added, item: { ...item, status: 'in_progress', arguments: '' } },
        { type: 'response.function_call_arguments.delta', ...at, delta: item.arguments },
        { type: 'response.function_call_arguments.done', ...at, arguments: item.arguments },
        done,
      ];
  }
}

const named = (event: Json): ServerSentEvent => ({
  event: event.type,
  data: JSON.stringify(event),
});
