import {
  type Checkpoint,
  type Client,
  type SessionWithAttempts,
  unwrap,
} from '../../client/index.ts';
import { CliError } from '../frame/errors.ts';
import { listUpTo } from '../frame/pages.ts';

/** All checkpoints of a session, oldest first. */
export async function checkpointsOf(client: Client, id: string): Promise<Checkpoint[]> {
  const page = await listUpTo(Infinity, (query) =>
    unwrap(client.GET('/api/sessions/{id}/checkpoints', { params: { path: { id }, query } })),
  );
  return page.items;
}

/**
 * The checkpoint of this number in a session.
 *
 * @throws CliError `not_found`, with the numbers that there are
 */
export async function numbered(client: Client, id: string, number: number): Promise<Checkpoint> {
  const all = await checkpointsOf(client, id);
  const found = all.find((each) => each.number === number);
  if (found) return found;
  throw new CliError(
    'not_found',
    `Session ${id} has no checkpoint ${number}.`,
    all.length > 0
      ? `It has ${all.map((each) => each.number).join(', ')}: "defib checkpoints ${id}" shows them.`
      : 'Nothing was saved of it; an attempt before it may have some.',
  );
}

/**
 * The newest checkpoint with files that a session stands for: what it saved last or, where it saved thoughts
 * alone, what the attempt before it saved.
 *
 * @throws CliError `not_found`
 */
export async function newestWork(
  client: Client,
  session: SessionWithAttempts,
): Promise<Checkpoint> {
  const upTo = session.attempts.filter(({ attempt }) => attempt <= session.attempt).toReversed();
  let thoughts = false;
  for (const { id, latestCheckpointId } of upTo) {
    if (latestCheckpointId === null) continue;
    const path = { id: latestCheckpointId };
    const latest = await unwrap(client.GET('/api/checkpoints/{id}', { params: { path } }));
    if (latest.commit !== null) return latest;
    thoughts = true;
    const whole = (await checkpointsOf(client, id)).findLast(
      ({ commit, late }) => commit !== null && !late,
    );
    if (whole) return whole;
  }
  throw new CliError(
    'not_found',
    thoughts
      ? `Of session ${session.id} only what its agent said was saved, and no files.`
      : `Nothing was saved of session ${session.id}.`,
  );
}
