import { rm, stat } from 'node:fs/promises';
import { DefibError } from '../../client/error.ts';
import { createDelivery } from './deliver.ts';
import { forget } from './leave.ts';
import { createOutbox } from './outbox.ts';
import {
  keptSessions,
  leaveSession,
  makePlaces,
  placesOf,
  type Places,
  readSaved,
  type SavedSession,
  takeSession,
} from './places.ts';
import { type SessionApi, sessionApi } from './session-api.ts';

export type Synced = {
  id: string;
  /** What is left to send. */
  left: number;
  /** What the service, or the way to it, said. */
  told: string[];
};

/**
 * Sends what supervisors of this machine could not send, and puts away what finished work left. What
 * another process looks after is left alone.
 */
export async function syncAll(sessions: string, signal: AbortSignal): Promise<Synced[]> {
  const synced: Synced[] = [];
  for (const id of keptSessions(sessions)) {
    if (signal.aborted) break;
    const places = placesOf(sessions, id);
    const saved = await readSaved(places);
    if (!saved) {
      await removeOld(places);
      continue;
    }
    if (!(await isTaken(places))) continue;
    try {
      const one = await syncOne(saved, places, signal);
      if (one) synced.push(one);
    } finally {
      await leaveSession(places);
    }
  }
  return synced;
}

const isTaken = async (places: Places): Promise<boolean> =>
  await takeSession(places).then(
    () => true,
    () => false,
  );

/** A service that answers takes all there is one after another; one that is away is not waited for. */
const DRAIN_MS = 5000;

async function syncOne(
  saved: SavedSession,
  places: Places,
  signal: AbortSignal,
): Promise<Synced | undefined> {
  await makePlaces(places);
  const outbox = createOutbox(places.outbox);
  const api = sessionApi(saved);
  const told: string[] = [];
  const waiting = outbox.size();
  if (waiting > 0) {
    const delivery = createDelivery({
      api,
      outbox,
      tell: (text) => void told.push(text),
      onRefused: ({ message }) => void told.push(message),
      makeWhole: undefined,
    });
    await delivery.drain(DRAIN_MS, signal);
  }
  const left = outbox.size();
  if (left === 0 && (await isOver(api))) await forget(saved, places);
  return waiting > 0 ? { id: saved.id, left, told } : undefined;
}

/** Whether nobody goes on from this session any more: its work was finished, or is not kept. */
async function isOver(api: SessionApi): Promise<boolean> {
  try {
    const { attempts } = await api.read();
    if (attempts.some(({ endedAt }) => endedAt === null)) return false;
    if (attempts.some(({ status }) => status === 'completed')) return true;
    const checkpoints = await api.checkpoints();
    return checkpoints.length > 0 && checkpoints.every(({ prunedAt }) => prunedAt !== null);
  } catch (error) {
    if (error instanceof DefibError) return false;
    throw error;
  }
}

const MONTH_MS = 30 * 24 * 60 * 60_000;

/** What a killed start left half-made. */
async function removeOld({ folder }: Places): Promise<void> {
  const info = await stat(folder);
  if (Date.now() - info.mtimeMs > MONTH_MS) await rm(folder, { recursive: true, force: true });
}
