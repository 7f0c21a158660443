/*
 * A process of its own, started by a supervisor that is about to be stopped: it beats for the session as long as
 * the supervisor stands still, and ends with that.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { isStopped } from '../../process-list.ts';
import { isRefusal } from './deliver.ts';
import { sessionApi } from './session-api.ts';
import { DefibError } from '../../client/index.ts';
import { KEEP, type Kept } from './suspend.ts';

const LOOK_MS = 250;
/** A supervisor stops itself once this one is there. */
const PATIENCE_MS = 10_000;

const { supervisor, ...session } = JSON.parse(process.env[KEEP] ?? '{}') as Kept;
const api = sessionApi(session);
let due = 0;
let wasStopped = false;
const began = performance.now();
for (;;) {
  const stopped = isStopped(supervisor);
  wasStopped ||= stopped;
  if (!stopped && (wasStopped || performance.now() - began > PATIENCE_MS)) break;
  if (stopped && performance.now() >= due) {
    try {
      const { nextHeartbeatSeconds } = await api.beat({});
      due = performance.now() + nextHeartbeatSeconds * 1000;
    } catch (error) {
      if (error instanceof DefibError && isRefusal(error)) break;
    }
  }
  await pause(LOOK_MS);
}
