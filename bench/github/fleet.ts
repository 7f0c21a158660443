import type { HttpClient } from '../contenders/http-client.ts';
import { runClosedLoop } from '../measure/closed-loop.ts';

export type Fleet = {
  size: number;
  /** One heartbeat of agent number `i`. True when it is `ok`: no warning and no error. */
  beat(i: number): Promise<boolean>;
};

const CALLERS = 16;
const MINUTES_MS = 300_000;

/** Creates agents that all track the same repositories, each with a token of its own. */
export async function createFleet(
  client: HttpClient,
  operatorToken: string,
  size: number,
  repos: string[],
): Promise<Fleet> {
  const tokens: string[] = [];
  const operator = bearer(operatorToken);
  await runClosedLoop({ callers: CALLERS, maxCalls: size, maxMs: MINUTES_MS }, 0, async (i) => {
    const agentName = nameOf(i);
    const put = await client.send('PUT', `/api/agents/${agentName}`, operator, { repos });
    const issued = await client.send('POST', '/api/tokens', operator, {
      scope: 'agent',
      agentName,
    });
    if (put.status !== 200 || issued.status !== 201) throw unexpected(put, issued);
    tokens[i] = (issued.body as { token: string }).token;
  });
  return {
    size,
    beat: async (i) => {
      const agent = i % size;
      const path = `/api/agents/${nameOf(agent)}/heartbeat`;
      const answer = await client.send('POST', path, bearer(tokens[agent] ?? ''), {});
      if (answer.status !== 200) throw unexpected(answer);
      return (answer.body as { status: string }).status === 'ok';
    },
  };
}

const nameOf = (i: number): string => `agent-${i}`;

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const unexpected = (...answers: unknown[]): Error =>
  new Error(`Defib answered ${answers.map((answer) => JSON.stringify(answer)).join(', ')}`);
