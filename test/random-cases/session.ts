import type { Answer } from '../setup/call.ts';
import { until } from '../setup/until.ts';
import { HOST, type Service } from './service.ts';

/** Several services and all that the cases do share a machine: time limits say when to give up. */
export const PATIENCE_MS = 600_000;

/** An agent of its own for each row of cases, so that a claim gives none of another's. */
export type Agent = { name: string; token: string };

export async function issueAgent(service: Service, name: string): Promise<Agent> {
  const body = { scope: 'agent', agentName: name };
  return {
    name,
    token: (await expected(201, service.call('POST', '/api/tokens', { body }))).token,
  };
}

/** What must succeed: its body, or an error that shows the answer. */
async function expected(status: number, call: Promise<Answer>): Promise<Answer['body']> {
  const answer = await call;
  if (answer.status !== status) throw new Error(`answered ${answer.status}: ${answer.text}`);
  return answer.body;
}

export type Session = { id: string; token: string; worktree: string };

export async function startSession(
  service: Service,
  agent: Agent,
  worktree: string,
  objective: string,
): Promise<Session> {
  // A busy machine must not end it: the case does, by ageing its row.
  const body = { objective, worktree, host: HOST, leaseSeconds: 3600 };
  const path = `/api/agents/${agent.name}/sessions`;
  const { session, token } = await expected(
    201,
    service.call('POST', path, { token: agent.token, body }),
  );
  return { id: session.id, token, worktree };
}

/** Sends a checkpoint that a worker captures, and returns it once it is there. */
export async function sendCheckpoint(
  { call }: Service,
  session: Session,
  request: { key: string; said: string; turn: number; async: boolean },
): Promise<Answer['body']> {
  const { key, said, turn } = request;
  const path = `/api/sessions/${session.id}/checkpoints`;
  const body = { trigger: 'turn', turn, reasoning: { done: [said] } };
  let prefer = request.async ? 'respond-async' : 'wait=30';
  const send = async () => {
    const headers = { 'Idempotency-Key': key, Prefer: prefer };
    const answer = await call('POST', path, { token: session.token, body, headers });
    if (answer.status === 201) return answer.body;
    // The same call again, held open now, is answered when its run is over.
    prefer = 'wait=30';
    if (answer.status === 202) return undefined;
    throw new Error(`a checkpoint was answered ${answer.status}: ${answer.text}`);
  };
  return await until(`the checkpoint ${key} is there`, send, PATIENCE_MS);
}

export async function interrupt({ call }: Service, session: Session): Promise<void> {
  const body = { reason: 'a limit was reached' };
  const path = `/api/sessions/${session.id}/interrupt`;
  await expected(200, call('POST', path, { token: session.token, body }));
}

/** As if nothing had been heard of it for its whole lease. */
export async function expire({ database }: Service, session: Session): Promise<void> {
  const text = `UPDATE sessions SET lease_expires_at = now() - interval '1 second',
    start_deadline_at = NULL WHERE id = $1`;
  await database.query(text, [session.id]);
}

export async function claim(
  { call }: Service,
  agent: Agent,
): Promise<{ session: Answer['body']; token: string; continuation: string }> {
  const path = `/api/agents/${agent.name}/claim`;
  const ask = async () => {
    const { status, body, text } = await call('POST', path, { token: agent.token });
    if (status === 200) return body;
    if (status !== 204) throw new Error(`a claim was answered ${status}: ${text}`);
    return undefined;
  };
  return await until('there is something to claim', ask, PATIENCE_MS);
}

export const finish = ({ call }: Service, id: string, token: string): Promise<unknown> =>
  expected(
    200,
    call('POST', `/api/sessions/${id}/finish`, { token, body: { outcome: 'completed' } }),
  );

export const list = async ({ call }: Service, path: string): Promise<Answer['body'][]> =>
  (await expected(200, call('GET', path))).items;

export const runsOf = (
  service: Service,
  kind: 'checkpoint' | 'resume' | 'prune',
  sessionId: string,
): Promise<Answer['body'][]> =>
  list(service, `/api/runs?kind=${kind}&sessionId=${sessionId}&limit=100`);

/** All runs of a kind that a session has, once there is one and none is left to finish. */
export const finishedRunsOf = (
  service: Service,
  kind: 'checkpoint' | 'resume' | 'prune',
  sessionId: string,
): Promise<Answer['body'][]> =>
  until(
    `the ${kind} is over`,
    async () => {
      const all = await runsOf(service, kind, sessionId);
      const over = all.length > 0 && all.every(({ finishedAt }) => finishedAt !== null);
      return over ? all : undefined;
    },
    PATIENCE_MS,
  );
