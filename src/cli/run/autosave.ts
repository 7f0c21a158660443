import type { AgentWatch } from './agent.ts';
import type { Saves } from './saves.ts';

export type AutosaveOptions = {
  agent: AgentWatch;
  saves: Saves;
  everyTurns: number;
  everyMs: number;
  /** Monotonic, in milliseconds. */
  now: () => number;
  onSaved: () => void;
};

const MIN_PAUSE_MS = 2000;
/** Saving takes a fifth of the time at most, however large the worktree. */
const PAUSE_FACTOR = 4;

/**
 * Decides when to save while the agent works: after turns, after tool calls that may have changed
 * files, and every so often in case it has no hooks. What comes while it saves is saved once more.
 *
 * @returns to be called again and again
 */
export function createAutosave(options: AutosaveOptions): () => void {
  const { agent, saves, now } = options;
  let saving = false;
  let turns = 0;
  let mutated = false;
  let last = now();
  let pauseUntil = now();

  const due = (): string | undefined => {
    if (turns >= options.everyTurns) return 'turn';
    if (mutated) return 'tool';
    return now() - last >= options.everyMs ? 'interval' : undefined;
  };
  return () => {
    const seen = agent.look();
    turns += seen.turns;
    mutated ||= seen.mutated;
    const trigger = due();
    if (!trigger || saving || now() < pauseUntil) return;
    saving = true;
    [turns, mutated, last] = [0, false, now()];
    void saves.save(trigger).then((tookMs) => {
      saving = false;
      pauseUntil = now() + Math.max(MIN_PAUSE_MS, PAUSE_FACTOR * tookMs);
      options.onSaved();
    });
  };
}
