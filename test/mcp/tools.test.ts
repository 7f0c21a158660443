import { Ajv2020 } from 'ajv/dist/2020.js';
import { realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { pickPort } from '../../src/db/embedded/port.ts';
import { defib } from '../setup/defib.ts';
import { connectHttp, connectStdio, type McpClient } from '../setup/mcp.ts';
import { makeDirty, type Resumable, startResumable } from '../setup/resumable.ts';
import type { Answer } from '../setup/service.ts';
import { until } from '../setup/until.ts';

let flow: Resumable;
let url: string;
beforeAll(async () => {
  flow = await startResumable('postgres');
  url = flow.service.url;
});
afterAll(() => flow.stop());

type Started = { id: string; token: string; post(verb: string, body?: object): Promise<Answer> };

/** An agent of each test's own: what one leaves behind is not claimed by another. */
let agent: { name: string; token: string; start(body?: object): Promise<Started> };
let agents = 0;
beforeEach(async () => {
  const name = `agent-${(agents += 1)}`;
  const token = await flow.service.agentToken(name);
  agent = {
    name,
    token,
    start: async (body = {}) => {
      const { body: started } = await flow.service.call('POST', `/api/agents/${name}/sessions`, {
        token,
        body: { objective: 'fix the build', host: 'here', ...body },
      });
      const { id } = started.session;
      return {
        id,
        token: started.token,
        post: (verb, said) =>
          flow.service.call('POST', `/api/sessions/${id}/${verb}`, {
            token: started.token,
            ...(said && { body: said }),
          }),
      };
    },
  };
});

const REASONING = {
  approach: 'parser first',
  decisions: [{ what: 'no library', why: 'small grammar' }],
  done: ['parser'],
  remaining: ['tests', 'docs'],
  nextStep: 'write its tests',
  pendingToolCalls: [{ tool: 'Bash', input: { command: 'git push' } }],
};

/** Closes it with the test. */
function forTest<T extends McpClient>(client: T): T {
  onTestFinished(() => client.close());
  return client;
}

/** Connects with the token of a session. */
const inSession = {
  http: async ({ token }: Pick<Started, 'token'>) => forTest(await connectHttp(url, token)),
  stdio: async ({ id, token }: Pick<Started, 'id' | 'token'>) =>
    forTest(
      await connectStdio({
        DEFIB_URL: url,
        DEFIB_SESSION_ID: id,
        DEFIB_SESSION_TOKEN: token,
      }),
    ),
};
/** Connects with the token of an agent. */
const asAgent = {
  http: async (token: string) => forTest(await connectHttp(url, token)),
  stdio: async (token: string, cwd = '/') =>
    forTest(
      await connectStdio(
        { DEFIB_URL: url, DEFIB_TOKEN: token },
        { args: ['--agent', agent.name], cwd },
      ),
    ),
};
const transports = ['http', 'stdio'] as const;

/** Takes over what died, over plain HTTP. */
const claim = () =>
  until('it can be claimed', async () => {
    const { status, body } = await flow.service.call('POST', `/api/agents/${agent.name}/claim`, {
      token: agent.token,
    });
    if (status !== 200) return undefined;
    const { session, token, continuation } = body;
    return { id: session.id as string, token: token as string, continuation };
  });

/** A session of this agent that ended at its time limit, with its successor. */
async function superseded(): Promise<Started & { successorId: string }> {
  const session = await agent.start();
  await session.post('heartbeat');
  await flow.expire(session.id);
  const successorId = await until('there is a successor', async () => {
    const { attempts } = await flow.session(session.id);
    return attempts.find(({ resumedFrom }: { resumedFrom: string }) => resumedFrom === session.id)
      ?.id as string | undefined;
  });
  // At work: of one that only waits, a late word of success would still be heard.
  await flow
    .db()
    .updateTable('sessions')
    .set({ status: 'running', spawn_at: null })
    .where('id', '=', successorId)
    .execute();
  return { ...session, successorId };
}

describe.each(transports)('the tools of a session over %s', (transport) => {
  const connect = inSession[transport];

  it('heartbeat renews the lease and says when to come back', async () => {
    const session = await agent.start();
    const { call } = await connect(session);
    const { data, text } = await call('heartbeat', { turn: 3, note: 'reading' });
    expect(data).toMatchObject({
      status: 'running',
      nextHeartbeatSeconds: expect.any(Number),
      directives: [],
      next: expect.stringContaining('Go on working'),
    });
    expect(text).toContain(`within ${data.nextHeartbeatSeconds} s`);
    expect(await flow.session(session.id)).toMatchObject({ status: 'running', turn: 3 });
  });

  it('heartbeat hands on what the server wants, with what to do about it', async () => {
    const session = await agent.start();
    await flow.service.started.deps.db
      .updateTable('sessions')
      .set({ directive: JSON.stringify({ type: 'cancel', reason: 'the issue was closed' }) })
      .where('id', '=', session.id)
      .execute();
    const { call } = await connect(session);
    const { data, text } = await call('heartbeat');
    expect(data.directives).toMatchObject([{ type: 'cancel', sessionId: session.id }]);
    expect(data.next).toMatch(/^Stop working now.*finish.*"cancelled".*the issue was closed/);
    expect(text).toContain(data.next);
  });

  it('checkpoint saves reasoning and files', async () => {
    const { worktree } = flow.clone(`checkpoint-${transport}`);
    makeDirty(worktree);
    const session = await agent.start({ worktree });
    const { call } = await connect(session);
    const { data, text } = await call('checkpoint', { ...REASONING, trigger: 'plan', turn: 7 });
    expect(data).toMatchObject({ saved: true, number: 1, filesSaved: true, warnings: [] });
    expect(text).toContain('Checkpoint 1 is saved');
    const { body } = await flow.service.call('GET', `/api/checkpoints/${data.checkpointId}`);
    expect(body).toMatchObject({ reasoning: REASONING, trigger: 'plan', turn: 7 });
    expect(body.filesChanged).toBe(data.filesChanged);
    expect(data.filesChanged).toBeGreaterThan(0);
  });

  it('checkpoint says when the files are not in it', async () => {
    const { call } = await connect(await agent.start());
    const { data, text } = await call('checkpoint', { nextStep: 'go on' });
    expect(data).toMatchObject({ saved: true, filesSaved: false });
    expect(text).toContain('not your files');
  });

  it('continuation gives the prompt, with calls of unknown outcome', async () => {
    const first = await agent.start();
    await first.post('heartbeat');
    await first.post('checkpoints', { trigger: 'turn', reasoning: REASONING });
    await flow.expire(first.id);
    const claimed = await claim();
    const { call } = await connect(claimed);
    const { data, text } = await call('continuation');
    expect(data).toMatchObject({ attempt: 2, continuation: claimed.continuation });
    expect(text).toBe(claimed.continuation);
    expect(text).toContain('Outcome unknown: verify first');
  });

  it('finish ends the session, and twice is once', async () => {
    const session = await agent.start();
    const { call } = await connect(session);
    const done = { outcome: 'completed', summary: 'all of it' };
    for (const { data } of [await call('finish', done), await call('finish', done)]) {
      expect(data).toMatchObject({ sessionId: session.id, status: 'completed' });
    }
    expect(await flow.session(session.id)).toMatchObject({
      status: 'completed',
      summary: 'all of it',
    });
  });

  it.each([
    ['heartbeat', {}],
    ['checkpoint', REASONING],
    ['finish', { outcome: 'completed' }],
  ])('%s of a superseded session is refused, and says to stop', async (tool, args) => {
    const session = await superseded();
    const { call } = await connect(session);
    const { isError, data, text } = await call(tool, args);
    expect({ isError, data }).toEqual({ isError: true, data: undefined });
    expect(text).toMatch(/^session_superseded: /);
    expect(text).toContain('Stop working at once');
    expect(text).toContain(`successorId: ${session.successorId}`);
  });

  it('what is said after the end is refused, and only the prompt can still be read', async () => {
    const session = await agent.start();
    await session.post('finish', { outcome: 'completed' });
    const { call } = await connect(session);
    for (const [tool, args] of [
      ['heartbeat', {}],
      ['checkpoint', REASONING],
      ['finish', { outcome: 'failed' }],
    ] as const) {
      const { isError, text } = await call(tool, args);
      expect({ tool, isError }).toEqual({ tool, isError: true });
      expect(text).toMatch(/^session_ended: .*\nStop working on it/);
    }
    expect(await call('continuation')).toMatchObject({ isError: false });
  });

  it.each([
    ['heartbeat', { turn: -1 }, /^invalid: turn: /],
    ['heartbeat', { note: 'x'.repeat(4001) }, /^invalid: note: must have at most 4000/],
    ['heartbeat', { nothing: 1 }, /^invalid: arguments: .*"nothing"/],
    ['checkpoint', {}, /^invalid: reasoning: must have at least one field/],
    ['checkpoint', { done: 'all' }, /^invalid: done: /],
    ['checkpoint', { transcriptTail: 'x'.repeat(300_000) }, /^too_large: .*\nShorten it/],
    ['continuation', { session: { id: 'a', token: 'b' } }, /^invalid: arguments: .*"session"/],
    ['finish', {}, /^invalid: outcome: /],
    ['finish', { outcome: 'done' }, /^invalid: outcome: /],
  ])('%s refuses %o', async (tool, args, expected) => {
    const { call } = await connect(await agent.start());
    const { isError, text } = await call(tool, args);
    expect({ isError, text }).toEqual({ isError: true, text: expect.stringMatching(expected) });
    expect(text).not.toMatch(/\bat .*:\d+:\d+/);
  });
});

describe.each(transports)('the tools of an agent over %s', (transport) => {
  /** Names the session in a call, as over HTTP; a process of its own knows it. */
  const of = ({ session }: { session?: object }) => (session ? { session } : {});

  it('work from start_session to finish', async () => {
    const { call } = await asAgent[transport](agent.token);
    const { data, text } = await call('start_session', {
      objective: 'fix the build',
      leaseSeconds: 300,
    });
    expect(data).toMatchObject({ attempt: 1, objective: 'fix the build' });
    expect(Boolean(data.session)).toBe(transport === 'http');
    expect(text.includes('dfb_se_')).toBe(transport === 'http');

    expect(await call('heartbeat', of(data))).toMatchObject({ data: { status: 'running' } });
    const saved = await call('checkpoint', { ...of(data), ...REASONING });
    expect(saved.data).toMatchObject({ saved: true, number: 1 });
    expect((await call('continuation', of(data))).text).toContain('fix the build');
    const finished = await call('finish', { ...of(data), outcome: 'completed' });
    expect(finished.data).toMatchObject({ sessionId: data.sessionId, status: 'completed' });
    expect(await flow.session(data.sessionId)).toMatchObject({ status: 'completed' });
  });

  it('claim takes over what died, and says when nothing waits', async () => {
    const { call } = await asAgent[transport](agent.token);
    expect((await call('claim')).data).toMatchObject({ claimed: false });
    const first = await agent.start();
    await first.post('heartbeat');
    await first.post('checkpoints', { trigger: 'turn', reasoning: REASONING });
    await flow.expire(first.id);
    const { data, text } = await until('it can be claimed', async () => {
      const answer = await call('claim');
      return answer.data.claimed ? answer : undefined;
    });
    expect(data).toMatchObject({ attempt: 2, continuation: expect.stringContaining('git push') });
    expect(text).toContain(data.continuation);
    expect((await flow.session(data.sessionId)).resumedFrom).toBe(first.id);
    expect(await call('heartbeat', of(data))).toMatchObject({ data: { status: 'running' } });
  });

  it('heartbeat without a session is a recorded pass', async () => {
    const { call } = await asAgent[transport](agent.token);
    const { data, text } = await call('heartbeat', { note: 'awake' });
    expect(data).toMatchObject({ status: 'ok', directives: [], summary: expect.any(String) });
    expect(text).toMatch(/^ok: /);
    const { body } = await flow.service.call('GET', `/api/runs/${data.runId}`);
    expect(body).toMatchObject({ kind: 'heartbeat', status: 'ok', agentName: agent.name });
  });

  it('tools of a session want one', async () => {
    const { call } = await asAgent[transport](agent.token);
    for (const [tool, args] of [
      ['checkpoint', REASONING],
      ['continuation', {}],
      ['finish', { outcome: 'completed' }],
    ] as const) {
      const { isError, text } = await call(tool, args);
      expect(isError).toBe(true);
      expect(text).toMatch(/^invalid: .*start_session or claim/);
    }
  });

  it.each([
    ['start_session', {}, /^invalid: objective: /],
    [
      'start_session',
      { objective: 'x', worktree: 'here' },
      /^invalid: worktree: must be an absolute/,
    ],
    ['start_session', { objective: 'x', leaseSeconds: 1 }, /^invalid: leaseSeconds: /],
    ['claim', { host: 7 }, /^invalid: host: /],
  ])('%s refuses %o', async (tool, args, expected) => {
    const { call } = await asAgent[transport](agent.token);
    const { isError, text } = await call(tool, args);
    expect({ isError, text }).toEqual({ isError: true, text: expect.stringMatching(expected) });
  });

  it('an issue that another session works on is refused', async () => {
    const issueUrl = `https://github.com/acme/app/issues/${transport === 'http' ? 1 : 2}`;
    await agent.start({ issueUrl });
    const { call } = await asAgent[transport](agent.token);
    const { isError, text } = await call('start_session', { objective: 'the same', issueUrl });
    expect(isError).toBe(true);
    expect(text).toMatch(/^issue_claimed: .*\nDo not work on this issue/);
  });
});

describe('over HTTP', () => {
  it.each([
    ['no token', null, 401, 'unauthorized'],
    ['an unknown token', 'dfb_ag_nobody', 401, 'unauthorized'],
    ['an operator’s token', 'operator', 403, 'forbidden'],
  ])('%s is refused as everywhere in the API', async (_, token, status, code) => {
    const bearer = token === 'operator' ? flow.service.env['DEFIB_OPERATOR_TOKEN']! : token;
    const answer = await flow.service.call('POST', '/mcp', {
      token: bearer,
      body: { jsonrpc: '2.0', id: 1, method: 'tools/list' },
    });
    expect(answer).toMatchObject({ status, body: { status, code } });
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    await expect(connectHttp(url, bearer)).rejects.toThrow();
  });

  it('a session of another agent, or another session, is out of reach', async () => {
    const [mine, other] = [await agent.start(), await agent.start()];
    const { call } = await asAgent.http(agent.token);
    const session = { id: other.id, token: mine.token };
    const { isError, text } = await call('heartbeat', { session });
    expect(isError).toBe(true);
    expect(text).toMatch(/^forbidden: /);
    const unknown = await call('heartbeat', { session: { id: mine.id, token: 'dfb_se_wrong' } });
    expect(unknown.text).toMatch(/^unauthorized: .*\nChange no more files/);
  });

  it('refuses what is too large, other sites, and the streams of stateful servers', async () => {
    const { token } = await agent.start();
    const large = { jsonrpc: '2.0', id: 1, method: 'x', params: { a: 'x'.repeat(1024 * 1024) } };
    expect(await flow.service.call('POST', '/mcp', { token, body: large })).toMatchObject({
      status: 413,
      body: { code: 'too_large' },
    });
    const headers = { Origin: 'https://evil.example' };
    expect(
      await flow.service.call('POST', '/mcp', { token, headers, body: { jsonrpc: '2.0' } }),
    ).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    for (const method of ['GET', 'DELETE']) {
      const answer = await flow.service.call(method, '/mcp', {
        token,
        headers: { Accept: 'text/event-stream' },
      });
      expect(answer.status).toBe(405);
      expect(answer.headers.get('allow')).toBe('POST');
    }
  });

  it('speaks the protocol of 2026 as well', async () => {
    const session = await agent.start();
    const { client, call, close } = await connectHttp(url, session.token, 'auto');
    onTestFinished(close);
    expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    expect((await call('heartbeat')).data).toMatchObject({ status: 'running' });
    expect(await call('finish', {})).toMatchObject({ isError: true });
  });
});

describe('over stdio', () => {
  it('a wrong token is an error of the tool, and the server lives on', async () => {
    const { id } = await agent.start();
    const { call } = await inSession.stdio({ id, token: 'dfb_se_wrong' });
    for (const tool of ['heartbeat', 'continuation']) {
      const { isError, text } = await call(tool);
      expect(isError).toBe(true);
      expect(text).toMatch(/^unauthorized: .*\nChange no more files/);
    }
    const { call: callAsAgent } = await asAgent.stdio('dfb_ag_wrong');
    for (const [tool, args] of [
      ['start_session', { objective: 'x' }],
      ['claim', {}],
      ['heartbeat', {}],
    ] as const) {
      expect((await callAsAgent(tool, args)).text).toMatch(/^unauthorized: /);
    }
  });

  it('a service that is away is no reason to stop', async () => {
    const { call } = forTest(
      await connectStdio({
        DEFIB_URL: `http://127.0.0.1:${await pickPort(undefined)}`,
        DEFIB_SESSION_ID: '01920000-0000-7000-8000-000000000000',
        DEFIB_SESSION_TOKEN: 'dfb_se_any',
      }),
    );
    const { isError, text } = await call('heartbeat');
    expect(isError).toBe(true);
    expect(text).toMatch(/^unreachable: .*\nGo on working/);
  });

  it('starts sessions where the agent works, and one at a time', async () => {
    const { worktree } = flow.clone('of-stdio');
    const { call } = await asAgent.stdio(agent.token, `${worktree}/dir`);
    const { data } = await call('start_session', { objective: 'first' });
    expect(await flow.session(data.sessionId)).toMatchObject({
      host: hostname(),
      worktree: realpathSync(worktree),
    });
    const second = await call('start_session', { objective: 'second' });
    expect(second.text).toMatch(/^conflict: .*Call finish before/);
    // Ended by others: then it may begin anew.
    await flow.service.call('POST', `/api/sessions/${data.sessionId}/interrupt`, {
      body: { reason: 'an operator' },
    });
    expect((await call('heartbeat')).text).toMatch(/^session_/);
    expect(await call('start_session', { objective: 'third' })).toMatchObject({ isError: false });
    expect(await call('finish', { outcome: 'completed' })).toMatchObject({ isError: false });
    expect(await call('start_session', { objective: 'fourth' })).toMatchObject({ isError: false });
  });

  it('speaks the protocol of 2026 as well', async () => {
    const { id, token } = await agent.start();
    const env = { DEFIB_URL: url, DEFIB_SESSION_ID: id, DEFIB_SESSION_TOKEN: token };
    const { client, call } = forTest(await connectStdio(env, { era: 'auto' }));
    expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    expect((await call('heartbeat')).data).toMatchObject({ status: 'running' });
  });

  it.each([
    [{}, /no_token: .*neither a session/],
    [{ DEFIB_TOKEN: 'dfb_ag_any' }, /no_agent: .*\n.*--agent/],
  ])('with %o it says what is missing, and ends', async (env, expected) => {
    const { code, stdout, stderr } = await defib(['mcp'], { env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(expected);
  });
});

describe('tools/list', () => {
  const lists = {
    session: async () => await inSession.http(await agent.start()),
    'agent-http': async () => await asAgent.http(agent.token),
    'agent-stdio': async () => await asAgent.stdio(agent.token),
  };

  it.each(Object.entries(lists))('is stable and valid JSON Schema: %s', async (name, connect) => {
    const { client } = await connect();
    const { tools } = await client.listTools();
    const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, validateFormats: false });
    for (const { inputSchema, outputSchema, ...tool } of tools) {
      ajv.compile(inputSchema);
      ajv.compile(outputSchema!);
      expect(tool.description!.length, tool.name).toBeGreaterThan(100);
      expect(tool.annotations, tool.name).toHaveProperty('readOnlyHint');
      for (const [field, schema] of Object.entries(inputSchema.properties ?? {})) {
        expect(schema, `${tool.name} ${field}`).toHaveProperty('description');
      }
    }
    const text = `${JSON.stringify({ instructions: client.getInstructions(), tools }, null, 2)}\n`;
    await expect(text).toMatchFileSnapshot(`golden/${name}.json`);
  });

  it('is the same over stdio as over HTTP for a session', async () => {
    const session = await agent.start();
    const [http, stdio] = await Promise.all([inSession.http(session), inSession.stdio(session)]);
    expect(await stdio.client.listTools()).toEqual(await http.client.listTools());
  });
});
