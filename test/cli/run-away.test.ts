import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { put, userGit } from '../services/git/helpers.ts';
import { DEFIB, defib } from '../setup/defib.ts';
import { type Proxy, startProxy } from '../setup/proxy.ts';
import { checkpointBranches } from '../setup/resumable.ts';
import {
  hookEvent,
  listed,
  startSupervised,
  type Supervised,
  waitFor,
} from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
let proxy: Proxy;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());
beforeEach(async () => {
  proxy = await startProxy(flow.service.url);
});
afterEach(() => proxy.close());

const OFTEN = ['--checkpoint-every', '1'];
/** Saves when a turn is over, and not in the middle of one. */
const ON_TURNS = ['--checkpoint-every', '600'];

/** Shell: one turn of an agent, which then waits for the test. */
const turn = (n: number, name: string): string =>
  `echo ${n} > ${n}.txt; echo '{"done": ["${n}"]}' > $DEFIB_SESSION_DIR/reasoning.json; ` +
  `${hookEvent('turn')}; ${waitFor(`${flow.root}/${name}.${n}`)}`;

/** How many entries the service has not acknowledged. */
const waitingOf = (id: string): number =>
  listed(join(flow.kept, id, 'outbox')).filter((name) => name.endsWith('.json')).length;

describe('a service that is away', () => {
  it('at the start: nothing is run, and it is said why', async () => {
    const { worktree } = flow.clone('start');
    proxy.cut();
    const one = flow.run({ cwd: worktree, env: { DEFIB_URL: proxy.url }, script: 'echo never' });
    const { code, stdout, stderr } = await one.exited;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('unreachable');
  });

  it('in the middle: kept on disk, and sent later in order', async () => {
    const { worktree } = flow.clone('middle');
    const one = flow.run({
      cwd: worktree,
      options: ON_TURNS,
      env: { DEFIB_URL: proxy.url },
      script: [1, 2, 3].map((n) => turn(n, 'middle')).join('; '),
    });
    const id = await flow.idOf(one);
    const waiting = () => waitingOf(id);
    await until('it was saved', async () => (await flow.checkpoints(id)).length === 1);
    // The service has its row before the supervisor has its answer.
    await until('that was acknowledged', () => waiting() === 0);
    proxy.cut();
    put(flow.root, 'middle.1', '');
    await until('one waits', () => waiting() === 1);
    put(flow.root, 'middle.2', '');
    await until('two wait', () => waiting() === 2);
    expect(one.stderr().match(/kept on disk/g)).toHaveLength(1);
    proxy.restore();
    await until('all was sent', async () => (await flow.checkpoints(id)).length === 3);
    put(flow.root, 'middle.3', '');
    expect(await one.exited).toMatchObject({ code: 0 });
    const all = await flow.checkpoints(id);
    expect(all.map(({ reasoning }) => reasoning.done)).toEqual([['1'], ['2'], ['3']]);
    expect(all.map(({ filesChanged }) => filesChanged)).toEqual([1, 2, 3]);
  });

  it('before it has answered: sent again, and one checkpoint all the same', async () => {
    const { worktree } = flow.clone('answer');
    const one = flow.run({
      cwd: worktree,
      options: ON_TURNS,
      env: { DEFIB_URL: proxy.url },
      script: `${waitFor(`${flow.root}/answer.0`)}; ${[1, 2].map((n) => turn(n, 'answer')).join('; ')}`,
    });
    const id = await flow.idOf(one);
    await until('it is running', async () => (await flow.session(id)).status === 'running');
    proxy.mute();
    put(flow.root, 'answer.0', '');
    await until('it was saved', async () => (await flow.checkpoints(id)).length === 1);
    expect(waitingOf(id)).toBe(1);
    proxy.cut();
    put(flow.root, 'answer.1', '');
    await until('both wait', () => waitingOf(id) === 2);
    proxy.restore();
    await until('all was sent', () => waitingOf(id) === 0);
    put(flow.root, 'answer.2', '');
    expect(await one.exited).toMatchObject({ code: 0 });
    const all = await flow.checkpoints(id);
    expect(all.map(({ reasoning }) => reasoning.done)).toEqual([['1'], ['2']]);
  });

  it('at the end: left on disk, until defib sync', async () => {
    const { worktree } = flow.clone('end');
    const one = flow.run({
      cwd: worktree,
      env: { DEFIB_URL: proxy.url },
      options: ['--grace', '1'],
      script: `echo late > late.txt; ${waitFor(`${flow.root}/end`)}`,
    });
    const id = await flow.idOf(one);
    await until('it is running', async () => (await flow.session(id)).status === 'running');
    proxy.cut();
    put(flow.root, 'end', '');
    await until('it says so', () => one.stderr().includes('kept on disk'));
    // Who does not want to wait for the service says so.
    one.send('SIGTERM');
    expect(await one.exited).toMatchObject({ code: 0 });
    expect(one.stderr()).toContain('Not sent: 2');
    expect((await flow.session(id)).status).toBe('running');
    expect(checkpointBranches(worktree)).toHaveLength(1);

    const early = await defib(['sync'], { env: flow.env });
    expect(early).toMatchObject({ code: 1 });
    proxy.restore();
    const late = await defib(['sync', '--json'], { env: flow.env });
    expect(JSON.parse(late.stdout)).toMatchObject([{ id, left: 0 }]);
    expect(late.code).toBe(0);
    expect(await flow.session(id)).toMatchObject({ status: 'completed' });
    expect(await flow.checkpoints(id)).toMatchObject([{ filesChanged: 1 }]);
    expect(checkpointBranches(worktree)).toEqual([]);
    expect(listed(flow.kept)).not.toContain(id);
  });
});

describe('what cannot be sent as it is', () => {
  it('is sent with all its history where the service cannot reach the remote', async () => {
    const { worktree } = flow.clone('elsewhere', () => 'https://git.example.invalid/acme/app.git');
    const one = flow.run({
      cwd: worktree,
      options: ['--no-resume'],
      script: 'echo x > x.txt; exit 1',
    });
    const id = await flow.idOf(one);
    expect(await one.exited).toMatchObject({ code: 1 });
    expect(await flow.checkpoints(id)).toMatchObject([
      { filesChanged: 1, baseUrl: null, durability: 'stored' },
    ]);
    expect(one.stderr()).not.toContain('only on this machine');
  });

  it('keeps the reasoning where the files are too large, and says so', async () => {
    const { worktree } = flow.clone('large', () => 'https://git.example.invalid/acme/app.git');
    put(worktree, 'large.bin', randomBytes(2 * 1024 * 1024));
    const said = `echo '{"nextStep": "go on"}' > $DEFIB_SESSION_DIR/reasoning.json`;
    const one = flow.run({
      cwd: worktree,
      options: ['--no-resume'],
      env: { DEFIB_MAX_BUNDLE_MB: '1' },
      script: `${said}; exit 1`,
    });
    const id = await flow.idOf(one);
    const { code, stderr } = await one.exited;
    expect(code).toBe(1);
    expect(stderr).toContain('only on this machine: The bundle passes the limit');
    expect(await flow.checkpoints(id)).toMatchObject([
      { commit: null, reasoning: { nextStep: 'go on' } },
    ]);
    // On this machine they are safe.
    expect(userGit(worktree, ['ls-tree', `checkpoint/builder/${id}`]).toString()).toContain(
      'large.bin',
    );
  });

  it('leaves the agent in peace when the disk is full', async () => {
    const { worktree } = flow.clone('full');
    put(worktree, 'big.bin', randomBytes(256 * 1024));
    // No process may write a file of more than 64 KiB: objects and bundles fail as on a full disk.
    const run = `ulimit -f 64; exec "$0" "$@"`;
    const args = ['run', '--no-resume', ...OFTEN, '--', 'sh', '-c', `echo on; sleep 4; echo off`];
    const child = spawn('bash', ['-c', run, process.execPath, DEFIB, ...args], {
      cwd: worktree,
      env: { PATH: process.env['PATH'], ...flow.env },
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => void (err += chunk.toString()));
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(out).toBe('on\noff\n');
    expect(err.match(/Not saved/g)).toHaveLength(1);
    const id = /session (\S+) of/.exec(err)?.[1] ?? '';
    expect(await flow.session(id)).toMatchObject({ status: 'completed' });
  });
});
