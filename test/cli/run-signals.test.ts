import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { put } from '../services/git/helpers.ts';
import { signalAt } from '../setup/points.ts';
import { carrying, startSupervised, type Supervised } from '../setup/supervised.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

const WORK = 'echo ran; echo dirty > a.txt; ';
const SLEEP = `${WORK} exec sleep 600`;
// By env(1), which tells it from the shells that run git.
const AGENT_STARTS = '^starts env$';
const AGENT_STARTED = '^started env ';
const SESSIONS = 'POST /api/agents/builder/sessions$';
const START = ['--checkpoint-every', '1'];

/** Runs an agent whose supervisor gets a signal at a point, and looks at what is left. */
async function signalled(
  point: string,
  { signal = 'SIGTERM', script = SLEEP, options = START, env = {} }: Partial<Signalled> = {},
) {
  const name = `at-${(count += 1)}`;
  const { worktree } = flow.clone(name);
  const one = flow.run({
    cwd: worktree,
    options,
    program: ['env', 'sh', '-c', script],
    env: { ...signalAt(point, signal), TEST_MARK: name, ...env },
  });
  const { code, stdout, stderr } = await one.exited;
  expect(stderr).toContain(`: ${signal}`);
  // The mark is this test's own: the agent is found also where its session is not known.
  expect(carrying(`TEST_MARK=${name}`)).toEqual([]);
  const { items } = (await flow.service.call('GET', '/api/sessions?limit=100')).body;
  const mine = items.filter((one: { worktree: string }) => one.worktree === worktree);
  // The attempt that goes on is a later one.
  const session = mine.find((one: { attempt: number }) => one.attempt === 1);
  return { code, stdout, stderr, session, worktree };
}
type Signalled = {
  signal: NodeJS.Signals;
  script: string;
  options: string[];
  env: Record<string, string>;
};
let count = 0;

describe('a supervisor that is asked to end', () => {
  it.each([
    ['before it has a session', `^asks ${SESSIONS}`],
    ['as it learns of its session', `^answered ${SESSIONS}`],
  ])('%s starts no agent, and says so', async (_, point) => {
    const { code, stdout, session } = await signalled(point);
    expect({ code, stdout }).toEqual({ code: 143, stdout: '' });
    expect(session).toMatchObject({
      status: 'interrupted',
      endReason: 'its supervisor got SIGTERM before the agent was started',
    });
  });

  it.each([
    ['just before its agent starts', AGENT_STARTS],
    ['just after its agent has started', AGENT_STARTED],
    ['with its first heartbeat', '^asks POST .*/heartbeat$'],
  ])('%s takes the agent along', async (_, point) => {
    const { code, session } = await signalled(point);
    expect(code).toBe(143);
    expect(session).toMatchObject({
      status: 'interrupted',
      endReason: 'its supervisor got SIGTERM',
    });
  });

  it.each([
    ['in the middle of saving', '^started .* update-ref '],
    ['as it sends what it saved', '^asks POST .*/checkpoints$'],
    ['as that was taken', '^answered POST .*/checkpoints$'],
  ])('%s saves it all the same', async (_, point) => {
    const { code, session } = await signalled(point);
    expect(code).toBe(143);
    expect(session).toMatchObject({ status: 'interrupted' });
    const [saved] = await flow.checkpoints(session.id);
    expect(saved).toMatchObject({ filesChanged: 1 });
  });

  it.each([
    ['as it saves', '^started .* update-ref ', 'SIGTERM'],
    ['as it tells it', '^asks POST .*/finish$', 'SIGTERM'],
    ['once it was told', '^answered POST .*/finish$', 'SIGTERM'],
    ['by Ctrl-C', '^asks POST .*/checkpoints$', 'SIGINT'],
  ] as const)('after its agent is done (%s) tells the truth', async (_, point, signal) => {
    const options = ['--checkpoint-every', '600'];
    const { code, session } = await signalled(point, { signal, script: WORK, options });
    expect(code).toBe(0);
    expect(session).toMatchObject({ status: 'completed' });
    expect(await flow.checkpoints(session.id)).toMatchObject([{ filesChanged: 1 }]);
  });

  it('by Ctrl-C before the agent was started cancels its work', async () => {
    const { code, stdout, session } = await signalled(`^answered ${SESSIONS}`, {
      signal: 'SIGINT',
    });
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(session).toMatchObject({ status: 'cancelled', summary: 'Ctrl-C' });
  });

  it('by a terminal that goes away does the same as by SIGTERM', async () => {
    const { session } = await signalled(AGENT_STARTED, { signal: 'SIGHUP' });
    expect(session).toMatchObject({ endReason: 'its supervisor got SIGHUP' });
  });

  it('passes on to the agent what came before it', async () => {
    const script = 'while :; do sleep 0.1; done';
    const { code } = await signalled(AGENT_STARTS, { signal: 'SIGUSR2', script });
    expect(code).toBe(140);
  });

  it('in a session that was started for it hands that on', async () => {
    const { worktree } = flow.clone('adopted');
    const { id, token } = await flow.start({ worktree });
    const one = flow.run({
      cwd: worktree,
      options: ['--session', id],
      script: SLEEP,
      env: { ...signalAt('^answered GET /api/sessions/', 'SIGTERM'), DEFIB_SESSION_TOKEN: token },
    });
    expect(await one.exited).toMatchObject({ code: 143, stdout: '' });
    expect(await flow.session(id)).toMatchObject({ status: 'interrupted' });
  });
});

describe('a session whose agent cannot be started', () => {
  it('is told to have failed, and is not resumed', async () => {
    const { worktree } = flow.clone('typo');
    // It is there, and what it is to be run by is not.
    put(flow.root, 'broken-agent', '#!/no/such/interpreter\n', 0o755);
    const one = flow.run({ cwd: worktree, program: [join(flow.root, 'broken-agent')] });
    expect(await one.exited).toMatchObject({ code: 127 });
    const id = await flow.idOf(one);
    expect(await flow.session(id)).toMatchObject({ status: 'failed' });
  });
});
