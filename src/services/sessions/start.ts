import type { Takeover } from '../../contract/takeover.ts';
import type { Db } from '../../db/connect.ts';
import { findAgent } from '../../db/queries/agents.ts';
import { findLiveSessionOfIssue, insertSession } from '../../db/queries/sessions.ts';
import { claimIssueForSession } from '../../db/queries/session-claims.ts';
import { presentIssueKey } from '../../db/queries/issue-keys.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { redactText } from '../checkpoints/redact.ts';
import { newId } from '../ids.ts';
import { issueKey } from '../issues/issue-key.ts';
import { issueSessionToken } from '../tokens/session-token.ts';
import { type AskedTimes, type SessionSettings, sessionTimes } from './settings.ts';

export type StartSession = AskedTimes & {
  agentName: string;
  objective: string;
  repo?: string | undefined;
  issueUrl?: string | undefined;
  worktree?: string | undefined;
  host?: string | undefined;
  branch?: string | undefined;
  turn?: number | undefined;
  /** Of an operator alone: it makes a worker run a command. */
  takeover?: Takeover | undefined;
};

export type StartedSession = {
  session: Session;
  /** Shown this once. */
  token: string;
};

/**
 * Starts a session: its lease, its token and, where it names an issue, its claim, all or nothing.
 *
 * @throws AppError `not_found` (no such agent), `conflict` (paused), `issue_claimed`, or `unavailable` when the
 *   objective cannot be searched for secrets
 */
export async function startSession(
  db: Db,
  settings: SessionSettings,
  request: StartSession,
): Promise<StartedSession> {
  const { agentName, issueUrl } = request;
  const agent = await findAgent(db, agentName);
  if (!agent) throw noAgent(agentName);
  const { text: objective } = await redactText(request.objective, { agent: agentName });
  return await db.transaction().execute(async (trx) => {
    const key = issueUrl === undefined ? null : await presentIssueKey(trx, issueKey(issueUrl));
    const session = await insertSession(trx, {
      id: newId(),
      agentName,
      objective,
      repo: request.repo ?? null,
      issueUrl: issueUrl ?? null,
      issueKey: key,
      worktree: request.worktree ?? null,
      host: request.host ?? null,
      branch: request.branch ?? null,
      turn: request.turn ?? null,
      takeover: request.takeover ?? null,
      ...sessionTimes(request, agent.policy, settings),
    });
    if (!session) throw await explain(trx, agentName, issueUrl, key);
    if (issueUrl !== undefined && !(await claimIssueForSession(trx, newId(), session))) {
      throw claimed(issueUrl, 'another agent');
    }
    return { session, token: await issueSessionToken(trx, session) };
  });
}

async function explain(
  db: Db,
  agentName: string,
  issueUrl: string | undefined,
  key: string | null,
): Promise<AppError> {
  const holder = key === null ? undefined : await findLiveSessionOfIssue(db, key);
  if (issueUrl !== undefined && holder?.status === 'pending') return waits(issueUrl, holder);
  if (issueUrl !== undefined && holder) return claimed(issueUrl, `session ${holder.id}`);
  return new AppError(
    'conflict',
    `The agent "${agentName}" is paused, so no session was started. An operator resumes it with PUT /api/agents/${agentName} {"paused": false}.`,
  );
}

function claimed(issueUrl: string, holder: string): AppError {
  return new AppError(
    'issue_claimed',
    `${issueUrl} is being worked on by ${holder}. Take another issue, or wait until that ends.`,
  );
}

const waits = (issueUrl: string, { id, agent_name: name }: Pick<Session, 'id' | 'agent_name'>) =>
  new AppError(
    'issue_claimed',
    `${issueUrl} was begun before, and waits as session ${id} of "${name}". Take it up with "defib resume ${id}" or POST /api/agents/${name}/claim {"sessionId": "${id}"}, or end it with POST /api/sessions/${id}/cancel.`,
  );

function noAgent(agentName: string): AppError {
  return new AppError(
    'not_found',
    `There is no agent "${agentName}". An operator creates it with PUT /api/agents/${agentName}, or by issuing a token for it.`,
  );
}
