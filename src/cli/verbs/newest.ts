import { type Client, type Session, unwrap } from '../../client/index.ts';
import { CliError } from '../frame/errors.ts';

/** The newest attempt at the work of a session: what a person means who names any of them. */
export async function newestAttempt(client: Client, id: string): Promise<Session> {
  const session = await unwrap(client.GET('/api/sessions/{id}', { params: { path: { id } } }));
  return session.attempts.at(-1) ?? session;
}

/**
 * The session that is named or, without a name, the only one that needs a person.
 *
 * @throws CliError `not_found` or `ambiguous`
 */
export async function namedOrFlagged(client: Client, id: string | undefined): Promise<Session> {
  if (id !== undefined) return await newestAttempt(client, id);
  const query = { needsAttention: 'true' as const, limit: 20 };
  const { items } = await unwrap(client.GET('/api/sessions', { params: { query } }));
  const [one, ...more] = items;
  if (!one) {
    throw new CliError(
      'not_found',
      'No session needs attention.',
      'Name one: "defib sessions" lists all.',
    );
  }
  if (more.length === 0) return one;
  throw new CliError(
    'ambiguous',
    `${items.length} sessions need attention: ${items.map((each) => each.id).join(', ')}.`,
    'Name one of them; "defib sessions --needs-attention" shows them.',
  );
}

/** How a session is told of after something was done for it. */
export const line = ({ id, attempt, status, waitingFor, waitingUntil }: Session): string => {
  const until =
    waitingUntil === null ? '' : `, until ${new Date(waitingUntil).toLocaleString('sv-SE')}`;
  const waits = waitingFor === null ? '' : `; it waits for ${waitingFor}${until}`;
  return `Session ${id}, attempt ${attempt}, is ${status}${waits}.`;
};
