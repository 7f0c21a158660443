import { type Dialect, type Json, textOf, type Turn } from './turn.ts';

/** Gemini: `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`. */
export const gemini: Dialect = {
  read: (body) => ({
    input: [
      { role: 'system', text: textOf(body.systemInstruction) },
      ...body.contents.map(({ role, parts }: Json) => ({ role, text: textOf(parts) })),
    ],
    tools: (body.tools ?? []).flatMap((tool: Json) =>
      (tool.functionDeclarations ?? []).map(({ name }: Json) => name),
    ),
  }),
  whole: candidates,
  events: (turn, model) => [{ data: JSON.stringify(candidates(turn, model)) }],
};

function candidates({ text, calls = [] }: Turn, modelVersion: string): Json {
  const parts = [
    ...(text === undefined ? [] : [{ text }]),
    ...calls.map(({ tool, input }) => ({ functionCall: { name: tool, args: input } })),
  ];
  return {
    candidates: [{ index: 0, content: { role: 'model', parts }, finishReason: 'STOP' }],
    usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 10, totalTokenCount: 20 },
    modelVersion,
  };
}
