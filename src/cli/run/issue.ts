import { createInterface } from 'node:readline/promises';
import { isatty } from 'node:tty';
import { DefibError, type SessionWithAttempts, unwrap } from '../../client/index.ts';
import { CliError } from '../frame/errors.ts';
import { listUpTo } from '../frame/pages.ts';
import { openService } from '../frame/service.ts';

export type IssueOptions = { issue?: string; take?: true };

/**
 * The session that waits to go on with an issue, where a start was refused because of it and the user wants that
 * taken up. Undefined: it was refused for another reason.
 *
 * @throws CliError `issue_claimed`, with how to take it up
 */
export async function waitingOf(
  error: unknown,
  { issue, take }: IssueOptions,
): Promise<SessionWithAttempts | undefined> {
  if (!(error instanceof DefibError) || error.code !== 'issue_claimed') return undefined;
  const { client } = await openService();
  const { items } = await listUpTo(200, (query) =>
    unwrap(client.GET('/api/sessions', { params: { query: { ...query, status: 'pending' } } })),
  );
  const found = items.find(({ issueUrl }) => issueUrl === issue);
  if (!found) return undefined;
  if (!take && !(await wants(found.id))) {
    throw new CliError(
      'issue_claimed',
      `${issue} was begun before, and its work waits.`,
      `Take it up with "defib resume ${found.id}", or by the same command with --take.`,
    );
  }
  return await unwrap(client.GET('/api/sessions/{id}', { params: { path: { id: found.id } } }));
}

async function wants(id: string): Promise<boolean> {
  if (!isatty(0) || !isatty(2)) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(
      `This was begun before and waits as ${id}. Take it up? [y/N] `,
    );
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}
