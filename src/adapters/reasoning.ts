import type { Reasoning } from '../services/checkpoints/reasoning.ts';
import { withoutPrompts } from '../services/sessions/prompt-text.ts';
import { adapterOf, type TranscriptRef } from './adapter.ts';
import type { Entry, Todo } from './conversation.ts';
import { type Agent, type AgentEvent, isoTime, shortened } from './event.ts';

/**
 * Where the agent stands, from the end of its conversation: its last plan and to-dos, decisions that
 * it called so, what it asked last, and calls whose outcome is not known. Bounded, below the 256 KiB
 * of a reasoning state. Undefined where the conversation shows nothing.
 *
 * @param events of this session, in order; the last hundred are enough
 * @throws when the transcript is there and cannot be read
 */
export async function readReasoning(
  agent: Agent,
  ref: TranscriptRef,
  events: AgentEvent[] = [],
): Promise<Reasoning | undefined> {
  const { conversation, recordsOpenCalls, readOnly } = await adapterOf(agent);
  const entries = await conversation(ref);
  const told = recordsOpenCalls ? endedCalls(events) : openCalls(events);
  const reasoning = reasoningOf([...entries, ...told], readOnly);
  return Object.keys(reasoning).length === 0 ? undefined : reasoning;
}

/** An agent tells its hooks that a call has ended before it writes it down. */
const endedCalls = (events: AgentEvent[]): Entry[] =>
  events.flatMap(({ kind, callId: id }) =>
    kind === 'tool-end' && id !== undefined ? [{ kind: 'result', id }] : [],
  );

/** Calls that have begun and not ended. Where they have no id, their arguments tell them apart. */
function openCalls(events: AgentEvent[]): Entry[] {
  const open = new Map<string, Entry>();
  for (const { kind, tool, callId, input, at } of events) {
    if (tool === undefined) continue;
    const id = callId ?? JSON.stringify([tool, input]);
    if (kind === 'tool-start') open.set(id, { kind: 'call', id, tool, input, at });
    if (kind === 'tool-end') open.delete(id);
  }
  return [...open.values()];
}

// In characters, of which none takes more than three bytes of JSON once it is clean. Together they stay
// below 256 KiB.
const MAX_PLAN = 4000;
const MAX_ITEM = 200;
const MAX_ITEMS = 30;
const MAX_CALLS = 8;
const MAX_TAIL = 16_000;
const MAX_SAID = 2000;

/**
 * Pure: the same entries give the same reasoning.
 *
 * @param readOnly tools whose calls change nothing, so that none of them is of unknown outcome
 */
export function reasoningOf(
  entries: Entry[],
  readOnly: ReadonlySet<string> = new Set(),
): Reasoning {
  const plan = entries.findLast((entry) => entry.kind === 'plan')?.text;
  const todos = entries.findLast((entry) => entry.kind === 'todos')?.todos ?? [];
  const nextStep = (todos.find(({ state }) => state === 'doing') ?? todos.find(isOpen))?.text;
  const tail = transcriptTail(entries);
  return {
    ...(plan !== undefined && { approach: clip(plan, MAX_PLAN) }),
    ...filled('decisions', decisions(entries)),
    ...filled('done', items(todos.filter(({ state }) => state === 'done'))),
    ...filled('remaining', items(todos.filter(({ state }) => state !== 'done'))),
    ...(nextStep !== undefined && { nextStep: clip(nextStep, MAX_ITEM) }),
    ...filled('openQuestions', openQuestions(entries)),
    ...filled('pendingToolCalls', pendingToolCalls(entries, readOnly)),
    ...(tail !== '' && { transcriptTail: tail }),
  };
}

const filled = <K extends string, T>(name: K, list: T[]) =>
  (list.length > 0 ? { [name]: list } : {}) as { [key in K]?: T[] };

const isOpen = ({ state }: Todo) => state === 'open';

const items = (todos: Todo[]) => todos.slice(-MAX_ITEMS).map(({ text }) => clip(text, MAX_ITEM));

const DECISION = /^\W*(?:decision|decided):[*_\s]*(?<what>.+)$/i;

/** Lines of the agent of the form `Decision: what, because why`. Anything freer would be a guess. */
function decisions(entries: Entry[]) {
  return entries
    .flatMap((entry) => (entry.kind === 'said' && entry.by === 'agent' ? [entry.text] : []))
    .flatMap((text) => text.split('\n'))
    .flatMap((line) => {
      const decision = DECISION.exec(line)?.groups?.['what']?.trim();
      if (!decision) return [];
      const [what = '', ...why] = decision.split(/,?\s+because\s+/i);
      return [
        {
          what: clip(what, MAX_ITEM),
          ...(why.length > 0 && { why: clip(why.join(' because '), MAX_ITEM) }),
        },
      ];
    })
    .slice(-MAX_ITEMS);
}

/** What the agent ended on, if it was a question: nobody has answered it. */
function openQuestions(entries: Entry[]): string[] {
  const last = entries.findLast(({ kind }) => kind === 'said' || kind === 'call');
  if (last?.kind !== 'said' || last.by !== 'agent') return [];
  const paragraph = last.text.trim().split('\n').at(-1) ?? '';
  return paragraph.endsWith('?') ? [clip(paragraph, MAX_ITEM)] : [];
}

function pendingToolCalls(entries: Entry[], readOnly: ReadonlySet<string>) {
  const ended = new Set(entries.flatMap((entry) => (entry.kind === 'result' ? [entry.id] : [])));
  return entries
    .filter((entry) => entry.kind === 'call')
    .filter(({ id, tool }) => !ended.has(id) && !readOnly.has(tool))
    .slice(-MAX_CALLS)
    .map(({ tool, input, at }) => {
      const call = { tool: clip(tool, MAX_ITEM), input: shortened(input) ?? null };
      const startedAt = isoTime(at);
      return startedAt === undefined ? call : Object.assign(call, { startedAt });
    });
}

/** The last of what was said and called, newest kept, each with who it was. */
function transcriptTail(entries: Entry[]): string {
  const lines: string[] = [];
  let left = MAX_TAIL;
  for (const entry of entries.toReversed()) {
    const line = lineOf(entry);
    if (line === undefined) continue;
    left -= line.length + 1;
    if (left < 0) break;
    lines.push(line);
  }
  return lines.toReversed().join('\n');
}

function lineOf(entry: Entry): string | undefined {
  if (entry.kind === 'said') return `${entry.by}: ${clip(withoutPrompts(entry.text), MAX_SAID)}`;
  if (entry.kind !== 'call') return undefined;
  return `agent calls ${entry.tool}: ${clip(JSON.stringify(entry.input) ?? '', MAX_ITEM)}`;
}

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\0-\u0008\u000b-\u001f\u007f]/g;

/** The beginning of a text, without control characters and halves of characters. */
const clip = (text: string, length: number) =>
  (text.length <= length ? text : `${text.slice(0, length - 1)}…`)
    .toWellFormed()
    .replaceAll(CONTROL, ' ');
