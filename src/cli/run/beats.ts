import { DefibError } from '../../client/index.ts';
import { aborted, isRefusal, messageOf } from './deliver.ts';
import type { BeatAnswer, BeatBody, SessionApi } from './session-api.ts';

export type Beats = {
  /** Beats now, not only when the next one is due. */
  now(): void;
  stop(): void;
};

export type BeatsOptions = {
  api: SessionApi;
  body: () => BeatBody;
  /** Monotonic, in milliseconds. */
  now: () => number;
  tell: (text: string) => void;
  onAnswer: (answer: BeatAnswer, askedAt: number) => void;
  /** The session is over, or somebody else's. There are no more beats after it. */
  onRefused: (error: DefibError) => void;
};

/** While the service is away; a lease is 5 seconds at least. */
const RETRY_MS = 1000;

/** Renews the lease at the pace that the service asks for, whatever the agent does or says. */
export function startBeats(options: BeatsOptions): Beats {
  const stopped = new AbortController();
  let wake = new AbortController();
  let away = false;

  const beat = async (): Promise<number> => {
    const askedAt = options.now();
    try {
      const answer = await options.api.beat(options.body());
      if (away) options.tell('The service takes heartbeats again.');
      away = false;
      options.onAnswer(answer, askedAt);
      return answer.nextHeartbeatSeconds * 1000;
    } catch (error) {
      if (stopped.signal.aborted) return 0;
      if (error instanceof DefibError && isRefusal(error)) {
        stopped.abort();
        options.onRefused(error);
      } else if (!away) {
        options.tell(`A heartbeat failed (${messageOf(error)}). It is tried again and again.`);
        away = true;
      }
      return RETRY_MS;
    }
  };
  const loop = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      wake = new AbortController();
      const pauseMs = await beat();
      await aborted(AbortSignal.any([stopped.signal, wake.signal]), pauseMs);
    }
  };
  void loop();
  return { now: () => wake.abort(), stop: () => stopped.abort() };
}
