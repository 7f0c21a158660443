/** The coding agents that Defib has an adapter for; `generic` is any other that can run a command. */
export const AGENTS = ['claude-code', 'codex', 'gemini-cli', 'opencode', 'pi', 'generic'] as const;
export type Agent = (typeof AGENTS)[number];

/**
 * What happened in an agent, the same for all of them.
 *
 * - `turn`: a round is over: an answer of the model with its tool calls, or a subagent's whole work
 * - `tool-start`, `tool-end`: around each tool call, failed ones included
 * - `stop`: the agent has nothing more to do, for now: it may wait for its user or a subagent, or exit
 */
export type AgentEvent = {
  agent: Agent;
  kind: 'turn' | 'tool-start' | 'tool-end' | 'stop';
  /** ISO 8601: when it happened, or when the hook ran. */
  at: string;
  /** The agent's own id of its session. */
  sessionRef: string;
  cwd: string;
  /** Where {@link AgentEvent.agent} keeps the conversation, if it says. */
  transcriptPath?: string;
  /** With tool events: what was called. */
  tool?: string;
  /** Joins `tool-start` and `tool-end` of one call. */
  callId?: string;
  /** Arguments of the call, shortened: at most {@link MAX_INPUT_CHARS} characters of JSON. */
  input?: unknown;
  /** Whether the call may have changed files. True for tools that are not known. */
  mutating: boolean;
};

/** What an adapter makes of a hook's input; the hook adds the agent, and the time if it is missing. */
export type HookEvent = Omit<AgentEvent, 'agent' | 'at'> & { at?: string };

export type Fields = Record<string, unknown>;

export const MAX_INPUT_CHARS = 4000;

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const textIn = (fields: Fields, name: string): string | undefined => {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/**
 * Reads the hook input that Claude Code brought up and Codex and Gemini CLI took over.
 *
 * @param kinds what each `hook_event_name` means; the others are not for Defib
 * @param readOnly tools that never change files
 */
export function commandHookEvent(
  input: Fields,
  kinds: Readonly<Record<string, AgentEvent['kind']>>,
  readOnly: ReadonlySet<string>,
): HookEvent | undefined {
  const kind = kinds[textIn(input, 'hook_event_name') ?? ''];
  if (!kind) return undefined;
  return hookEvent(
    {
      kind,
      sessionRef: input['session_id'],
      cwd: input['cwd'],
      transcriptPath: input['transcript_path'],
      tool: input['tool_name'],
      callId: input['tool_use_id'],
      input: input['tool_input'],
    },
    readOnly,
  );
}

/** The input that Defib's own plugins send: the fields of {@link HookEvent} as they are. */
export function neutralHookEvent(
  input: Fields,
  readOnly: ReadonlySet<string>,
): HookEvent | undefined {
  const kind = textIn(input, 'kind');
  return isKind(kind) ? hookEvent({ ...input, kind }, readOnly) : undefined;
}

const KINDS: ReadonlySet<string | undefined> = new Set(['turn', 'tool-start', 'tool-end', 'stop']);
const isKind = (kind: string | undefined): kind is AgentEvent['kind'] => KINDS.has(kind);

function hookEvent(
  raw: Fields & { kind: AgentEvent['kind'] },
  readOnly: ReadonlySet<string>,
): HookEvent {
  const base = {
    kind: raw.kind,
    sessionRef: textIn(raw, 'sessionRef') ?? '',
    cwd: textIn(raw, 'cwd') ?? process.cwd(),
    ...optional('at', isoTime(raw['at'])),
    ...optional('transcriptPath', textIn(raw, 'transcriptPath')),
  };
  const tool = textIn(raw, 'tool');
  if (tool === undefined || !raw.kind.startsWith('tool-')) return { ...base, mutating: false };
  return {
    ...base,
    tool,
    ...optional('callId', textIn(raw, 'callId')),
    ...optional('input', shortened(raw['input'])),
    mutating: !readOnly.has(tool),
  };
}

/** A time of any common form as ISO 8601; undefined when it is none. */
export function isoTime(text: unknown): string | undefined {
  const date = new Date(typeof text === 'string' ? text : Number.NaN);
  const year = date.getUTCFullYear();
  return year >= 0 && year <= 9999 ? date.toISOString() : undefined;
}

const optional = (name: string, value: unknown): Fields =>
  value === undefined ? {} : { [name]: value };

/** Long or deep arguments, such as the content of a file, as the beginning of their JSON. */
export function shortened(input: unknown): unknown {
  const json = JSON.stringify(input);
  if (json === undefined) return undefined;
  if (json.length > MAX_INPUT_CHARS) {
    return `${json.slice(0, MAX_INPUT_CHARS - 1).toWellFormed()}…`;
  }
  return isDeep(input, MAX_INPUT_DEPTH) ? json : input;
}

const MAX_INPUT_DEPTH = 50;

const isDeep = (value: unknown, levels: number): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some((inner) => isDeep(inner, levels - 1)));
