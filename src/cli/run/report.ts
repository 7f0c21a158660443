import type { AgentWatch } from './agent.ts';
import type { Delivery } from './deliver.ts';
import { type Ended, endEntry, triggerOf } from './ending.ts';
import type { Outbox } from './outbox.ts';
import type { Saves } from './saves.ts';

export type Reporter = {
  agent: AgentWatch;
  saves: Saves;
  outbox: Outbox;
  delivery: Delivery;
  tell: (text: string) => void;
};

/** How long the end of the session and the last checkpoint are tried to be sent. */
const DRAIN_MS = 30_000;
/** Whoever goes on has time, and must have told the service first. */
const GOING_ON_DRAIN_MS = 60 * 60_000;

/**
 * Saves what the agent left and tells the service how it ended.
 *
 * @param settled the service knows that already, by the agent's own word
 * @returns whether everything has been sent
 */
export async function report(
  { agent, saves, outbox, delivery, tell }: Reporter,
  ended: Ended,
  settled: boolean,
  hurry: AbortSignal,
): Promise<boolean> {
  const entry = settled ? undefined : endEntry(ended);
  if (!settled) {
    agent.look();
    await saves.save(triggerOf(ended.stop));
    if (entry) await outbox.add(entry).catch((error: Error) => tell(`Not saved: ${error.message}`));
  }
  const goesOn = entry?.kind === 'interrupt' && entry.goesOn === true;
  return await delivery.drain(goesOn ? GOING_ON_DRAIN_MS : DRAIN_MS, hurry);
}
