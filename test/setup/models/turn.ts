export type ToolCall = {
  tool: string;
  /** Of the Responses API: the group that the tool is in. */
  namespace?: string;
  /** Arguments as an object; a string for the free-form tools of the Responses API. */
  input: Record<string, unknown> | string;
};

/** What the model says next: text, then tool calls. Without calls the agent takes it as its end. */
export type Turn = {
  text?: string;
  calls?: ToolCall[];
  /** Nothing is answered before this settles: a model that thinks for long, or for ever. */
  hold?: Promise<void>;
};

export type Said = { role: string; text: string };

/** What an agent asked of the model, the same for every API. */
export type ModelRequest = {
  model: string;
  /** System prompt, messages and tool results, in order, as text. */
  input: Said[];
  /** Names of the tools that the model may call. */
  tools: string[];
};

// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;

export type ServerSentEvent = { event?: string; data: string };

/** One model API: how its requests are read and how a turn is written in it. */
export type Dialect = {
  read(body: Json): Omit<ModelRequest, 'model'>;
  /** The reply in one piece. */
  whole(turn: Turn, model: string): Json;
  /** The same reply as a stream. */
  events(turn: Turn, model: string): ServerSentEvent[];
};

/** Text in whatever shape an API carries it: a string, a part, or a list of parts. */
export function textOf(content: Json): string {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  if (Array.isArray(content)) return content.map(textOf).filter(Boolean).join('\n');
  return (
    textOf(
      content.text ??
        content.content ??
        content.output ??
        content.parts ??
        content.functionResponse?.response,
    ) || JSON.stringify(content)
  );
}

let calls = 0;
export const newCallId = (prefix: string): string => `${prefix}_${(calls += 1)}`;
