import { existsSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpRemote } from '../services/git/http-remote.ts';
import { filesOf, gitLine, put, standOf, userGit } from '../services/git/helpers.ts';
import {
  checkpointBranches,
  makeDirty,
  type Resumable,
  startResumable,
} from '../setup/resumable.ts';
import { defib, operatorOf } from '../setup/defib.ts';
import { bundleOf, upload } from '../setup/upload.ts';
import { until } from '../setup/until.ts';
import { backends } from '../setup/service.ts';

/** A port that nobody listens on now; a git server of the test takes it. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

describe.each(backends)('a checkpoint sent as a bundle, on %s', (backend) => {
  let flow: Resumable;
  let port: number;
  beforeAll(async () => {
    port = await freePort();
    flow = await startResumable(backend, {
      DEFIB_GIT_HOSTS: `127.0.0.1:${port}`,
      DEFIB_GIT_ALLOW_HTTP: 'true',
      DEFIB_GIT_CREDENTIALS: JSON.stringify([{ host: `127.0.0.1:${port}`, password: 'geheim' }]),
      DEFIB_MAX_BUNDLE_MB: '1',
    });
  });
  afterAll(() => flow.stop());

  it('builds on a remote over HTTP, is pushed there, and is restored on another host', async () => {
    const remotes = join(flow.root, 'work', 'remotes');
    await httpRemote(remotes, 'geheim', port);
    const baseUrl = `http://127.0.0.1:${port}/thin.git`;
    const spawner = { type: 'command', command: ['true'] };
    await flow.policy({ checkpointRemote: baseUrl, spawner });
    const { worktree, remote } = flow.clone('thin', () => baseUrl);
    userGit(remote, ['config', 'http.receivepack', 'true']);
    makeDirty(worktree);
    const session = await flow.start({ worktree, host: 'laptop' });
    const first = await bundleOf(worktree, session, { thin: true });
    const meta = { trigger: 'turn', turn: 1, commit: first.commit, baseUrl };
    const key = { 'Idempotency-Key': 'same' };
    const sent = await upload(flow, session, { meta, bundle: first.bundle }, key);
    expect(sent).toMatchObject({
      status: 201,
      body: { number: 1, commit: first.commit, tree: first.tree, durability: 'pushed', baseUrl },
    });
    expect(gitLine(remote, 'rev-parse', `checkpoint/builder/${session.id}`)).toBe(first.commit);
    const again = await upload(flow, session, { meta, bundle: first.bundle }, key);
    expect(again).toMatchObject({ status: 201, body: { id: sent.body.id } });
    const other = { meta: { ...meta, turn: 2 }, bundle: first.bundle };
    expect(await upload(flow, session, other, key)).toMatchObject({
      status: 422,
      body: { code: 'idempotency_mismatch' },
    });

    put(worktree, 'later.txt', 'later\n');
    const next = { thin: true, previous: null, number: 2 };
    const second = await bundleOf(worktree, session, next);
    const newer = {
      meta: { trigger: 'turn', commit: second.commit, baseUrl },
      bundle: second.bundle,
    };
    expect(await upload(flow, session, newer)).toMatchObject({ status: 201, body: { number: 2 } });
    const items = await flow.checkpoints(session.id);
    expect(items.map(({ number }) => number)).toEqual([1, 2]);
    const got = await flow.service.call('GET', `/api/checkpoints/${items[1].id}`);
    expect(got.body).toEqual(items[1]);
    const diff = await flow.service.call('GET', `/api/checkpoints/${items[1].id}/diff`);
    expect(diff.text).toContain('+later');
    const path = `${flow.service.url}/api/checkpoints/${items[1].id}/bundle`;
    const download = await fetch(path, { headers: { Authorization: `Bearer ${session.token}` } });
    expect(Buffer.from(await download.arrayBuffer()).equals(second.bundle)).toBe(true);

    const before = { files: filesOf(worktree), stand: standOf(worktree) };
    // On a machine that has no clone.
    const hosts = { DEFIB_GIT_HOSTS: `127.0.0.1:${port}`, DEFIB_GIT_ALLOW_HTTP: 'true' };
    const DEFIB_GIT_CREDENTIALS = JSON.stringify([
      { host: `127.0.0.1:${port}`, password: 'geheim' },
    ]);
    const restore = (into: string, env: Record<string, string>, ...args: string[]) =>
      defib(['restore', session.id, '--into', join(flow.root, into), ...args], {
        cwd: flow.root,
        env: { ...operatorOf(flow.service), ...env },
      });
    const done = await restore('by-hand', { ...hosts, DEFIB_GIT_CREDENTIALS });
    expect(done.stderr).toBe('');
    expect(done).toMatchObject({ code: 0, stdout: `${join(flow.root, 'by-hand')}\n` });
    expect(filesOf(join(flow.root, 'by-hand'))).toEqual(before.files);
    expect(standOf(join(flow.root, 'by-hand'))).toEqual(before.stand);
    const locked = await restore('locked', hosts);
    expect(locked).toMatchObject({ code: 1, stdout: '' });
    expect(locked.stderr).toContain('forbidden: The remote does not accept the credentials');
    const empty = flow.clone('unrelated').worktree;
    const wrong = await restore('wrong', { ...hosts, DEFIB_GIT_CREDENTIALS }, '--base', empty);
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toContain('no_base');
    expect(existsSync(join(flow.root, 'locked'))).toBe(false);

    rmSync(worktree, { recursive: true });
    await flow.moveTo('there');
    await flow.expire(session.id);
    const heir = await until('it is resumed', async () => {
      const { attempts } = await flow.session(session.id);
      return attempts[1]?.worktree && attempts[1];
    });
    expect(heir.host).toBe('there');
    expect(filesOf(heir.worktree)).toEqual(before.files);
    expect(standOf(heir.worktree)).toEqual(before.stand);
  });

  it('that holds all it needs wants no remote, and is as good when sent twice unchanged', async () => {
    const { worktree, remote } = flow.clone('whole');
    await flow.policy({ checkpointRemote: 'none' });
    makeDirty(worktree);
    const session = await flow.start({ worktree, host: 'laptop' });
    const { commit, bundle } = await bundleOf(worktree, session);
    const meta = { trigger: 'turn', commit, notCaptured: [{ path: 'big', reason: 'too large' }] };
    const sent = await upload(flow, session, { meta, bundle });
    expect(sent).toMatchObject({
      status: 201,
      body: { durability: 'stored', baseUrl: null, notCaptured: [{ path: 'big' }] },
    });
    const again = await upload(flow, session, { meta, bundle });
    expect(again).toMatchObject({ status: 201, body: { number: 2, commit, durability: 'stored' } });
    expect(checkpointBranches(remote)).toEqual([]);
    const left = () =>
      sql<{ n: number }>`SELECT count(*)::int AS n FROM bundles
      WHERE session_id = ${session.id}`.execute(flow.db());
    expect((await left()).rows[0]?.n).toBeLessThanOrEqual(2);
    await session.post('finish', { outcome: 'completed' });
    await until('but its result it is pruned', async () => (await left()).rows[0]?.n === 1);
    await flow.service.call('POST', `/api/sessions/${session.id}/dismiss`);
    await until('it is pruned', async () => (await left()).rows[0]?.n === 0);
  });
});
