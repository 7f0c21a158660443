import { setTimeout as pause } from 'node:timers/promises';
import type { Session } from '../../client/index.ts';
import type { Capture } from '../../services/git/capture-types.ts';
import { createDelivery } from './deliver.ts';
import { createOutbox } from './outbox.ts';
import { leaveSession, makePlaces, type Places, readSaved, takeSession } from './places.ts';
import { createSaves } from './saves.ts';
import { sessionApi } from './session-api.ts';

export type LeftOptions = {
  /** The attempt that fell silent. */
  before: Session;
  places: Places;
  maxBundleBytes: number;
  tell: (text: string) => void;
  /** Aborted once nobody wants to wait any longer. */
  hurry: AbortSignal;
};

const DRAIN_MS = 30_000;
/** How long the service may take to record what it was sent. */
const RECORD_MS = 15_000;

/**
 * Saves what an attempt left in its worktree whose supervisor was killed, as that would have done: nobody else may be
 * able to look there. Nothing of it may be alive any more. Undefined: there is nothing of it on this machine.
 *
 * @throws CliError `supervised`: its supervisor lives
 */
export async function saveLeft(options: LeftOptions): Promise<Capture | undefined> {
  const { before, places, maxBundleBytes, tell, hurry } = options;
  const session = await readSaved(places);
  if (!session || session.worktree === null) return undefined;
  await takeSession(places);
  try {
    await makePlaces(places);
    const outbox = createOutbox(places.outbox);
    const saves = createSaves({
      session,
      places,
      outbox,
      maxBundleBytes,
      turn: () => before.turn ?? 0,
      readReasoning: async () => undefined,
      tell,
    });
    const known = session.commit;
    await saves.save('resume');
    const api = sessionApi(session);
    const { makeWhole } = saves;
    await createDelivery({ api, outbox, tell, onRefused, makeWhole }).drain(DRAIN_MS, hurry);
    if (session.commit !== known) await recorded(api, session.commit);
    return saves.last();
  } finally {
    await leaveSession(places);
  }
}

/** What is sent is refused, as the session has ended, and kept all the same. */
const onRefused = (): void => undefined;

/** Waits until what was sent is what the next attempt goes on from. */
async function recorded(api: ReturnType<typeof sessionApi>, commit: string | null): Promise<void> {
  const until = performance.now() + RECORD_MS;
  while (performance.now() < until) {
    const checkpoints = await api.checkpoints().catch(() => []);
    if (checkpoints.some((each) => each.commit === commit)) return;
    await pause(200);
  }
}
