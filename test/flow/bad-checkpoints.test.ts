import { spawnSync } from 'node:child_process';
import { readdirSync, mkdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filesOf, put } from '../services/git/helpers.ts';
import { makeDirty, type Resumable, startResumable, type Started } from '../setup/resumable.ts';
import { bundleOf, type Saved, upload } from '../setup/upload.ts';
import { until } from '../setup/until.ts';

let flow: Resumable;
beforeAll(async () => {
  flow = await startResumable('postgres', { DEFIB_MAX_BUNDLE_MB: '1' });
});
afterAll(() => flow.stop());

const save = (session: Started, body: object = { trigger: 'turn' }) =>
  session.post('checkpoints', body);

describe('a worktree that cannot be captured', () => {
  const cases: [string, string, () => object, RegExp][] = [
    // One answer for both: it tells nobody what else is on the machine.
    [
      'outside the roots',
      'forbidden',
      () => outside(),
      /does not exist.*or lies outside the allowed roots/,
    ],
    ['that is no repository', 'invalid', () => plainFolder(), /not the top of a git worktree/],
    [
      'that vanished',
      'forbidden',
      () => ({ worktree: join(flow.root, 'work', 'nowhere') }),
      /does not exist.*or lies outside the allowed roots/,
    ],
    [
      'on another host',
      'unavailable',
      () => ({ host: 'elsewhere' }),
      /host "elsewhere".*no worker/,
    ],
  ];
  const outside = () => {
    mkdirSync(join(flow.root, 'outside'), { recursive: true });
    return { worktree: join(flow.root, 'outside') };
  };
  const plainFolder = () => {
    mkdirSync(join(flow.root, 'work', 'plain'), { recursive: true });
    return { worktree: join(flow.root, 'work', 'plain') };
  };

  it.each(cases)('%s is refused as %s; the reasoning is kept', async (name, code, where, text) => {
    const { worktree } = flow.clone(`bad-${name.replaceAll(' ', '-')}`);
    const session = await flow.start({ worktree, ...where() });
    const refused = await save(session);
    expect(refused.body).toMatchObject({ code, detail: expect.stringMatching(text) });
    const run = await flow.finished('checkpoint', session.id);
    expect(run).toMatchObject({ status: 'error', errors: [expect.stringMatching(text)] });
    const kept = await save(session, { trigger: 'turn', reasoning: { approach: 'think' } });
    expect(kept).toMatchObject({
      status: 201,
      body: {
        number: 1,
        commit: null,
        reasoning: { approach: 'think' },
        warnings: [expect.stringMatching(text)],
      },
    });
  });

  it.skipIf(process.getuid?.() !== 0)('of another user is refused', async () => {
    const { worktree } = flow.clone('theirs');
    spawnSync('chown', ['-R', '65534:65534', worktree]);
    const session = await flow.start({ worktree });
    expect(await save(session)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });
});

describe('reasoning', () => {
  it.each([
    ['over the cap', { transcriptTail: 'x'.repeat(300 * 1024) }, 413, 'too_large'],
    ['that says nothing', {}, 422, 'invalid'],
    ['with unknown fields', { mood: 'good' }, 422, 'invalid'],
  ])('%s is refused', async (_name, reasoning, status, code) => {
    const session = await flow.start();
    const answer = await save(session, { trigger: 'turn', reasoning });
    expect(answer).toMatchObject({ status, body: { code } });
    expect(await flow.runs('checkpoint', session.id)).toEqual([]);
  });

  it('that is not UTF-8 is refused, in a body and in an upload', async () => {
    const session = await flow.start();
    const bytes = Buffer.concat([
      Buffer.from('{"trigger": "'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]);
    const answer = await fetch(`${flow.service.url}/api/sessions/${session.id}/checkpoints`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${session.token}`, 'Content-Type': 'application/json' },
      body: new Uint8Array(bytes),
    });
    expect(answer.status).toBe(400);
    const sent = await upload(flow, session, { meta: bytes, bundle: Buffer.from('x') });
    expect(sent).toMatchObject({ status: 400, body: { code: 'malformed' } });
  });

  it('that is missing, with no worktree either, leaves nothing to save', async () => {
    const session = await flow.start();
    expect(await save(session)).toMatchObject({ status: 422, body: { code: 'invalid' } });
  });
});

describe('a bundle', () => {
  let session: Started;
  let good: Saved;
  let worktree: string;
  beforeAll(async () => {
    worktree = flow.clone('bundled').worktree;
    makeDirty(worktree);
    session = await flow.start({ worktree, host: 'laptop' });
    good = await bundleOf(worktree, session);
  });

  const changed = (at: number) => {
    const bundle = Buffer.from(good.bundle);
    bundle[at < 0 ? bundle.length + at : at]! ^= 0xff;
    return bundle;
  };
  /** The same pack under another list of refs. */
  const withRefs = (...refs: string[]) => {
    const end = good.bundle.indexOf('\n\n');
    const [signature] = good.bundle.toString('latin1', 0, end).split('\n');
    const lines = refs.map((ref) => `${good.commit} ${ref}`);
    return Buffer.concat([
      Buffer.from([signature, ...lines].join('\n')),
      good.bundle.subarray(end),
    ]);
  };
  const own = () => `refs/heads/checkpoint/builder/${session.id}`;

  const cases: [string, () => Buffer | Promise<Buffer>, number, string][] = [
    ['truncated', () => good.bundle.subarray(0, -40), 422, 'invalid'],
    ['with one byte changed', () => changed(-60), 422, 'invalid'],
    ['that is none', () => Buffer.from('hello'), 422, 'invalid'],
    ['with an extra ref', () => withRefs(own(), 'refs/heads/main'), 422, 'invalid'],
    ['with a ref that is an option', () => withRefs('--upload-pack=touch /tmp/x'), 422, 'invalid'],
    ['of another session', async () => (await another()).bundle, 422, 'invalid'],
    ['over the cap', () => Buffer.alloc(1024 * 1024 + 1), 413, 'too_large'],
  ];
  const another = async () => {
    const other = await flow.start();
    return await bundleOf(worktree, other);
  };

  it.each(cases)('%s is refused, and counts for nothing', async (_name, make, status, code) => {
    const bundle = await make();
    const meta = { trigger: 'turn', commit: good.commit };
    const sent = await upload(flow, session, { meta, bundle });
    expect(sent).toMatchObject({ status, body: { code } });
    expect(await flow.checkpoints(session.id)).toEqual([]);
  });

  it('of another repository is refused where its base is not', async () => {
    const { worktree: strange } = flow.clone('strange');
    put(strange, 'own.txt', 'own\n');
    const thin = await bundleOf(strange, session, { thin: true });
    const base = flow.clone('not-its-base').remote;
    put(strange, 'x', 'x');
    const meta = { trigger: 'turn', commit: thin.commit };
    expect(await upload(flow, session, { meta, bundle: thin.bundle })).toMatchObject({
      status: 422,
      body: { detail: expect.stringContaining('baseUrl') },
    });
    const folder = { meta: { ...meta, baseUrl: base }, bundle: thin.bundle };
    expect((await upload(flow, session, folder)).body.code).toBe('invalid');
    const option = { meta: { ...meta, baseUrl: '--upload-pack=touch' }, bundle: thin.bundle };
    expect((await upload(flow, session, option)).body.code).toBe('invalid');
  });

  it('without its parts, or not multipart, cannot be read', async () => {
    const meta = { trigger: 'turn', commit: good.commit };
    for (const parts of [{ meta }, { bundle: good.bundle }, { meta: '{', bundle: good.bundle }]) {
      expect(await upload(flow, session, parts)).toMatchObject({
        status: 400,
        body: { code: 'malformed' },
      });
    }
    const wrong = { meta: { trigger: 'turn', commit: 'main' }, bundle: good.bundle };
    expect((await upload(flow, session, wrong)).status).toBe(422);
  });

  it('that is cut off in the middle leaves nothing behind', async () => {
    const uploads = join(flow.root, 'data-here', 'uploads');
    const url = `${flow.service.url}/api/sessions/${session.id}/checkpoints`;
    const sending = request(url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${session.token}`,
        'content-type': 'multipart/form-data; boundary=x',
        'content-length': 100_000,
      },
    });
    sending.on('error', () => undefined);
    sending.write('--x\r\ncontent-disposition: form-data; name="bundle"; filename="b"\r\n\r\nabc');
    await until('it is being received', () => readdirSync(uploads).length > 0);
    sending.destroy();
    await until('nothing is left', () => readdirSync(uploads).length === 0);
  });

  it('that is good is accepted after all that', async () => {
    const meta = { trigger: 'turn', commit: good.commit };
    expect((await upload(flow, session, { meta, bundle: good.bundle })).status).toBe(201);
  });
});

describe('a checkpoint that may not be made', () => {
  it('of another agent is forbidden', async () => {
    const session = await flow.start();
    const stranger = await flow.service.agentToken('stranger');
    for (const token of [stranger, flow.agent, (await flow.start()).token]) {
      const answer = await flow.service.call('POST', `/api/sessions/${session.id}/checkpoints`, {
        token,
        body: { trigger: 'turn', reasoning: { approach: 'x' } },
      });
      expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    }
  });

  it('for a session that ended is answered 409, and kept', async () => {
    const { worktree } = flow.clone('ended');
    const session = await flow.start({ worktree });
    await session.post('finish', { outcome: 'failed' });
    put(worktree, 'late.txt', 'late\n');
    const answer = await save(session);
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'session_ended', detail: expect.stringContaining('kept as checkpoint 1') },
    });
    expect(await flow.checkpoints(session.id)).toMatchObject([{ number: 1, late: false }]);
  });

  it('late is what a waiting successor goes on from, and is kept beside one at work', async () => {
    const { worktree } = flow.clone('late');
    const first = await flow.start({ worktree });
    await flow.expire(first.id);
    const successor = await until(
      'it waits',
      async () => (await flow.session(first.id)).attempts[1],
    );
    // More often than a session is tried to be started.
    for (let n = 1; n <= 4; n += 1) {
      put(worktree, 'late.txt', `late ${n}\n`);
      const answer = await save(first, { trigger: 'turn', reasoning: { nextStep: `step ${n}` } });
      expect(answer).toMatchObject({
        status: 409,
        body: { code: 'session_superseded', successorId: successor.id },
      });
    }
    const second = await flow.claim();
    expect(second.id).toBe(successor.id);
    expect(second.continuation).toContain('step 4');
    expect(filesOf(second.session.worktree)).toEqual(filesOf(worktree));

    const before = await flow.session(second.id);
    put(worktree, 'late.txt', 'too late\n');
    const beside = await save(first, { trigger: 'turn', reasoning: { nextStep: 'step 5' } });
    expect(beside.body.detail).toContain('marked late');
    expect((await flow.checkpoints(first.id)).at(-1)).toMatchObject({ late: true });
    expect(await flow.session(second.id)).toMatchObject({
      latestCheckpointId: before.latestCheckpointId,
      worktree: before.worktree,
      status: 'starting',
    });
    const again = await flow.service.call('GET', `/api/sessions/${second.id}/continuation`);
    expect(again.text).not.toContain('step 5');
  });
});
