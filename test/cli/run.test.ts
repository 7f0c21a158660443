import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { put, statusOf } from '../services/git/helpers.ts';
import { checkpointBranches } from '../setup/resumable.ts';
import { DEFIB, defib } from '../setup/defib.ts';
import {
  hookEvent,
  listed,
  startSupervised,
  type Supervised,
  touch,
  waitFor,
} from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

describe('defib run', () => {
  it('runs a command as a session, saves its work, and leaves nothing after success', async () => {
    const { worktree } = flow.clone('normal');
    const go = join(flow.root, 'normal.go');
    const one = flow.run({
      cwd: join(worktree, 'dir'),
      options: ['--objective', 'mend it', '--repo', 'acme/app', '--timeout', '600'],
      script: `echo changed > ../a.txt; echo out; echo err >&2; ${hookEvent('turn')}; ${waitFor(go)}`,
    });
    const id = await flow.idOf(one);
    const saved = await until('a checkpoint has come', async () =>
      (await flow.checkpoints(id)).find(({ filesChanged }) => filesChanged === 1),
    );
    expect(saved).toMatchObject({ trigger: 'turn', turn: 1 });
    // All of it: the service takes no folder for what a bundle builds on.
    expect(saved.baseUrl).toBeNull();
    await until('the turn was told', async () => (await flow.session(id)).turn === 1);
    expect(await flow.session(id)).toMatchObject({
      status: 'running',
      agentName: 'builder',
      objective: 'mend it',
      repo: 'acme/app',
      worktree,
      host: 'here',
      branch: 'main',
    });
    expect(checkpointBranches(worktree)).toEqual([`checkpoint/builder/${id}`]);
    const status = statusOf(worktree);
    touch(flow.root, 'normal.go');

    const { code, stdout, stderr } = await one.exited;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'out\n' });
    expect(stderr).toContain('err\n');
    expect(await flow.session(id)).toMatchObject({ status: 'completed', needsAttention: false });
    expect(checkpointBranches(worktree)).toEqual([]);
    expect(statusOf(worktree)).toBe(status);
    expect(listed(flow.kept)).not.toContain(id);
    const { result } = await flow.session(id);
    expect(result).toMatchObject({ state: 'uncommitted', filesChanged: 1 });
    const dismissed = await flow.service.call('POST', `/api/sessions/${id}/dismiss`);
    expect(dismissed.status).toBe(200);
    await until('the service has pruned', async () =>
      (await flow.checkpoints(id)).every(({ prunedAt }) => prunedAt !== null),
    );
  });

  it('saves after tool calls that change files, and what the agent writes of its reasoning', async () => {
    const { worktree } = flow.clone('tool');
    const go = join(flow.root, 'tool.go');
    const said = `printf '{"approach": "parser first"}' > $DEFIB_SESSION_DIR/reasoning.json`;
    const tool = hookEvent('tool-end', { tool: 'edit', callId: '1' });
    const one = flow.run({
      cwd: worktree,
      script: `echo new > new.txt; ${tool}; ${waitFor(`${go}.1`)}; ${said}; ${tool}; ${waitFor(`${go}.2`)}`,
    });
    const id = await flow.idOf(one);
    const files = await until('the files are saved', async () => (await flow.checkpoints(id))[0]);
    expect(files).toMatchObject({ trigger: 'tool', filesChanged: 1, reasoning: null });
    touch(flow.root, 'tool.go.1');
    const words = await until('the words are saved', async () => (await flow.checkpoints(id))[1]);
    // The files are unchanged: they are not sent again, and not lost either.
    expect(words).toMatchObject({
      reasoning: { approach: 'parser first' },
      commit: files.commit,
      filesChanged: 1,
    });
    touch(flow.root, 'tool.go.2');
    expect(await one.exited).toMatchObject({ code: 0 });
    const all = await flow.checkpoints(id);
    expect(all.map(({ durability }) => durability)).toEqual(['stored', 'stored']);
  });

  it('saves every so often an agent without hooks, and nothing where nothing changed', async () => {
    const { worktree } = flow.clone('interval');
    const go = join(flow.root, 'interval.go');
    const one = flow.run({
      cwd: worktree,
      options: ['--checkpoint-every', '1'],
      script: `echo 1 > one.txt; ${waitFor(go)}`,
    });
    const id = await flow.idOf(one);
    await until('it was saved', async () => (await flow.checkpoints(id)).length === 1);
    put(worktree, 'two.txt', '2\n');
    await until('it was saved again', async () => (await flow.checkpoints(id)).length === 2);
    touch(flow.root, 'interval.go');
    await one.exited;
    const all = await flow.checkpoints(id);
    expect(all.map(({ trigger }) => trigger)).toEqual(['interval', 'interval']);
  });

  it('ends as interrupted, to be resumed, where the command fails; else as failed', async () => {
    const { worktree } = flow.clone('fails');
    const one = flow.run({ cwd: worktree, script: 'echo half > half.txt; exit 3' });
    const id = await flow.idOf(one);
    expect(await one.exited).toMatchObject({ code: 3 });
    expect(await flow.session(id)).toMatchObject({
      status: 'interrupted',
      endReason: 'its command ended with code 3',
    });
    const heir = await flow.claim();
    expect(heir.session).toMatchObject({ resumedFrom: id, attempt: 2 });
    expect(readFileSync(join(heir.session.worktree, 'half.txt'), 'utf8')).toBe('half\n');
    expect((await heir.post('finish', { outcome: 'completed' })).status).toBe(200);
    // The branch that the supervisor made goes with the rest.
    await until('it is pruned', () => checkpointBranches(worktree).length === 0);

    const two = flow.run({ cwd: worktree, options: ['--no-resume'], script: 'exit 4' });
    const second = await flow.idOf(two);
    expect(await two.exited).toMatchObject({ code: 4 });
    expect(await flow.session(second)).toMatchObject({ status: 'failed' });
  });

  it('gives the code of a signal as a shell does, and of a command that is not there', async () => {
    const { worktree } = flow.clone('codes');
    const killed = flow.run({ cwd: worktree, options: ['--no-resume'], script: 'kill -SEGV $$' });
    expect(await killed.exited).toMatchObject({ code: 139 });
    const args = ['run', '--', 'no-such-program-here'];
    const missing = await defib(args, { cwd: worktree, env: flow.env });
    expect(missing.code).toBe(127);
    expect(missing.stderr).toContain('there is no such program');
  });

  it('lets input, environment and forwarded signals through, but no key of the service', async () => {
    const { worktree } = flow.clone('through');
    const script =
      'read line; echo "$line $MINE $DEFIB_AGENT [$DEFIB_TOKEN]"; trap "echo usr; exit 7" USR2; echo ready; ' +
      'while :; do sleep 0.05; done';
    const args = [DEFIB, 'run', '--no-resume', '--', 'sh', '-c', script];
    const child = spawn(process.execPath, args, {
      cwd: worktree,
      env: { PATH: process.env['PATH'], ...flow.env, MINE: 'mine' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
    child.stdin.write('hello\n');
    await until('it is ready', () => out.includes('ready'));
    child.kill('SIGUSR2');
    expect(await once(child, 'close')).toEqual([7, null]);
    expect(out).toBe('hello mine builder []\nready\nusr\n');
  });

  it('runs outside of a git worktree too, where only the reasoning is saved', async () => {
    const script = `printf '{"nextStep": "tests"}' > $DEFIB_SESSION_DIR/reasoning.json; exit 1`;
    const one = flow.run({ cwd: flow.root, options: ['--no-resume'], script });
    const id = await flow.idOf(one);
    expect(await one.exited).toMatchObject({ code: 1 });
    expect(await flow.checkpoints(id)).toMatchObject([
      { trigger: 'exit', commit: null, reasoning: { nextStep: 'tests' } },
    ]);
  });

  it('lets an agent come to its end that finished the session by its own word', async () => {
    const { worktree } = flow.clone('own-word');
    const go = join(flow.root, 'own-word.go');
    const finish =
      'curl -sf -X POST -H "Authorization: Bearer $DEFIB_SESSION_TOKEN" -H "Content-Type: application/json" ' +
      `-d '{"outcome": "completed"}' $DEFIB_URL/api/sessions/$DEFIB_SESSION_ID/finish > finished.json`;
    await flow.policy({ leaseSeconds: 5 });
    const one = flow.run({
      cwd: worktree,
      script: `${finish}; ${waitFor(go)}; echo the end`,
    });
    const id = await flow.idOf(one);
    await until('it has finished', async () => (await flow.session(id)).status === 'completed');
    await until('a beat was refused', () => one.stderr().includes('by its own word: completed'));
    touch(flow.root, 'own-word.go');
    expect(await one.exited).toMatchObject({ code: 0, stdout: 'the end\n' });
    await flow.policy({});
  });

  it('creates the agent on a machine of one’s own, where the token is the operator’s', async () => {
    const { worktree } = flow.clone('operator');
    const { DEFIB_AGENT: _, ...env } = flow.env;
    const DEFIB_TOKEN = flow.service.env['DEFIB_OPERATOR_TOKEN'];
    const args = ['run', '--issue', 'https://github.com/acme/app/issues/9', '--', 'true'];
    const done = await defib(args, { cwd: worktree, env: { ...env, DEFIB_TOKEN } });
    expect(done).toMatchObject({ code: 0 });
    expect(done.stderr).toContain('There was no agent "true": it was created.');
    const { items } = (await flow.service.call('GET', '/api/sessions?agentName=true')).body;
    expect(items).toMatchObject([{ repo: 'acme/app', status: 'completed' }]);
  });
});
