import { type Dialect, type Json, newCallId, textOf, type Turn } from './turn.ts';

/** OpenAI Chat Completions: `POST /v1/chat/completions`. */
export const chat: Dialect = {
  read: (body) => ({
    input: body.messages.map(({ role, content }: Json) => ({ role, text: textOf(content) })),
    tools: (body.tools ?? []).map((tool: Json) => tool.function.name),
  }),
  whole: (turn, model) => ({
    ...head(model, 'chat.completion'),
    choices: [{ index: 0, message: message(turn), finish_reason: finish(turn) }],
    usage,
  }),
  events(turn, model) {
    const base = head(model, 'chat.completion.chunk');
    const choice = (delta: Json, finish_reason: string | null = null) => ({
      ...base,
      choices: [{ index: 0, delta, finish_reason }],
    });
    return [
      choice(message(turn)),
      choice({}, finish(turn)),
      { ...base, choices: [], usage },
      '[DONE]',
    ].map((data) => ({ data: typeof data === 'string' ? data : JSON.stringify(data) }));
  },
};

const usage = { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 };

const head = (model: string, object: string) => ({
  id: newCallId('chatcmpl'),
  object,
  created: 0,
  model,
});

function message({ text, calls = [] }: Turn): Json {
  return {
    role: 'assistant',
    content: text ?? null,
    ...(calls.length > 0 && {
      tool_calls: calls.map(({ tool, input }, index) => ({
        index,
        id: newCallId('call'),
        type: 'function',
        function: { name: tool, arguments: JSON.stringify(input) },
      })),
    }),
  };
}

const finish = ({ calls = [] }: Turn): string => (calls.length > 0 ? 'tool_calls' : 'stop');
