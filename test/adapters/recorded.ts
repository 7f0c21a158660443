import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { type Adapter, adapterOf } from '../../src/adapters/adapter.ts';
import type { Agent, AgentEvent, Fields, HookEvent } from '../../src/adapters/event.ts';

/** Agents of which hook inputs and a transcript were recorded, by `test/setup/agents/record.ts`. */
export const recordedAgents = ['claude-code', 'codex', 'gemini-cli', 'opencode', 'pi'] as const;

const fixture = (agent: Agent, name: string) =>
  fileURLToPath(new URL(`../fixtures/agents/${agent}/${name}`, import.meta.url));

/** What the agent gave to its hooks, one after the other. */
export function hookInputs(agent: Agent): Fields[] {
  return readFileSync(fixture(agent, 'hooks.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Fields);
}

/** The same as events, at one second after another. */
export async function recordedEvents(agent: Agent): Promise<AgentEvent[]> {
  const adapter: Adapter = await adapterOf(agent);
  return hookInputs(agent)
    .flatMap((input): HookEvent | HookEvent[] => adapter.event(input) ?? [])
    .map((event, second) =>
      Object.assign({ agent, at: new Date(second * 1000).toISOString() }, event),
    );
}

/** Puts the recorded transcript into a folder, as the agent keeps it, and gives its path. */
export function placeTranscript(agent: Agent, folder: string): string {
  if (agent === 'opencode') {
    const path = join(folder, 'opencode.db');
    const db = new DatabaseSync(path);
    db.exec(readFileSync(fixture(agent, 'transcript.sql'), 'utf8'));
    db.close();
    return path;
  }
  const path = join(folder, 'projects/-stage-work/session.jsonl');
  mkdirSync(dirname(path), { recursive: true });
  cpSync(fixture(agent, 'transcript.jsonl'), path);
  return path;
}

/** The task list that Claude Code keeps beside its transcript. */
export function placeTasks(folder: string, tasks: { subject: string; status: string }[]): void {
  mkdirSync(join(folder, 'tasks/session'), { recursive: true });
  for (const [index, task] of tasks.entries()) {
    const id = String(index + 1);
    writeFileSync(join(folder, `tasks/session/${id}.json`), JSON.stringify({ id, ...task }));
  }
}
