import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentEvent } from '../../adapters/event.ts';
import { readReasoning } from '../../adapters/reasoning.ts';
import { eventsFolder, takeEvents } from '../../adapters/spool.ts';
import { type Reasoning, reasoningSchema } from '../../services/checkpoints/reasoning.ts';

/** What its hooks tell of the agent. */
export type AgentWatch = {
  /** Takes in what happened since the last look. */
  look(): { turns: number; mutated: boolean };
  /** Turns so far. */
  turns(): number;
  /** @throws where it is there and cannot be read */
  readReasoning(): Promise<Reasoning | undefined>;
  /**
   * The agent is about to be stopped: what it is calling now stays of unknown outcome, whatever it writes down about
   * that while it is ended. Never rejects.
   */
  holdOpenCalls(): Promise<void>;
};

/** What is needed of the past to tell which calls are still open. */
const MAX_EVENTS = 100;

/**
 * @param sessionDir the agent's `DEFIB_SESSION_DIR`
 * @param turnsBefore turns of this session under an earlier supervisor
 */
export function watchAgent(sessionDir: string, turnsBefore: number): AgentWatch {
  mkdirSync(eventsFolder(sessionDir), { recursive: true, mode: 0o700 });
  let events: AgentEvent[] = [];
  let turns = turnsBefore;
  let held: Calls = [];
  const read = async () => (await ownWords(sessionDir)) ?? (await fromTranscript(events));
  return {
    look() {
      const fresh = takeEvents(sessionDir);
      events = [...events, ...fresh].slice(-MAX_EVENTS);
      const ended = fresh.filter(({ kind }) => kind === 'turn').length;
      turns += ended;
      const mutated = fresh.some(({ kind, mutating }) => kind === 'tool-end' && mutating);
      return { turns: ended, mutated };
    },
    turns: () => turns,
    async readReasoning() {
      const reasoning = await read();
      if (held.length === 0) return reasoning;
      return { ...reasoning, pendingToolCalls: united(held, reasoning?.pendingToolCalls ?? []) };
    },
    async holdOpenCalls() {
      held = (await read().catch(() => undefined))?.pendingToolCalls ?? [];
    },
  };
}

type Calls = NonNullable<Reasoning['pendingToolCalls']>;

const united = (held: Calls, now: Calls): Calls => {
  const known = new Set(held.map((call) => JSON.stringify(call)));
  return [...held, ...now.filter((call) => !known.has(JSON.stringify(call)))];
};

async function fromTranscript(events: AgentEvent[]): Promise<Reasoning | undefined> {
  const last = events.at(-1);
  return last && (await readReasoning(last.agent, last, events));
}

/** An agent or script may write it itself: `reasoning.json`, as the API takes it. */
async function ownWords(sessionDir: string): Promise<Reasoning | undefined> {
  let text: string;
  try {
    text = await readFile(join(sessionDir, 'reasoning.json'), 'utf8');
  } catch {
    return undefined;
  }
  return reasoningSchema.parse(JSON.parse(text));
}
