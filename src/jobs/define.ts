import type { z } from 'zod';

/**
 * A kind of job: its queue, the shape of its payload, and what it does. One schema serves the
 * payload's writer and its reader. The work itself is in services; `run` only calls it.
 */
export type JobDefinition<Data, Deps> = {
  /** The queue's name, which Bull Board shows. One queue per kind of job. */
  queue: string;
  schema: z.ZodType<Data>;
  /** Served on a second queue too, which is for the workers of this host alone. */
  perHost?: boolean;
  /** Of this many, per process, at once; absent: the configured worker concurrency. */
  concurrency?: number;
  run(deps: Deps, data: Data, signal: AbortSignal): Promise<void>;
};

export function defineJob<Data, Deps>(
  definition: JobDefinition<Data, Deps>,
): JobDefinition<Data, Deps> {
  return definition;
}
