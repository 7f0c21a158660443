import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPlain, redactOrWithhold, redactSaid } from '../../src/services/checkpoints/redact.ts';
import { findLikely } from '../../src/services/secrets/find.ts';
import { startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

// Put together at run time, so that no scanner takes this file for a leak.
const GITHUB = ['ghp', 'wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx'].join('_');
const dense = (length: number) => `${GITHUB} `.repeat(Math.floor(length / 41));

let service: TestService;
beforeAll(async () => {
  service = await startService('postgres', {
    worker: false,
    env: { DEFIB_RATE_LIMIT_PER_MINUTE: '0' },
  });
});
afterAll(() => service.stop());

async function start(agentName: string) {
  const answer = await service.call('POST', `/api/agents/${agentName}/sessions`, {
    token: await service.agentToken(agentName),
    body: { objective: 'x' },
  });
  const { session, token } = answer.body;
  const post = (what: string, body: object, headers = {}) =>
    service.call('POST', `/api/sessions/${session.id}/${what}`, { token, body, headers });
  return { id: session.id as string, post };
}

const rowOf = (id: string) =>
  service.started.deps.db
    .selectFrom('sessions')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirstOrThrow();

/** As if the session had been silent for nearly all of its lease. */
async function nearlyExpired(id: string): Promise<Date> {
  const leaseEnd = new Date(Date.now() + 2000);
  await service.started.deps.db
    .updateTable('sessions')
    .set({ lease_expires_at: leaseEnd, status: 'running', start_deadline_at: null })
    .where('id', '=', id)
    .execute();
  return leaseEnd;
}

describe('the search for secrets in what agents say', () => {
  it('takes turns: nobody waits for all that another agent sent', { timeout: 60_000 }, async () => {
    const [busy, victim] = [await start('busy'), await start('victim')];
    const order: string[] = [];
    const reasoning = { transcriptTail: dense(238_000) };
    const asked = async (who: string, post: typeof busy.post) => {
      const answer = await post(
        'checkpoints',
        { trigger: 'x', reasoning },
        { Prefer: 'respond-async' },
      );
      expect(answer.status).toBe(202);
      order.push(who);
    };
    const attack = Array.from({ length: 10 }, () => asked('busy', busy.post));
    await until('the first is searched', () => order.length > 0);
    const beat = victim.post('heartbeat', { note: `use ${GITHUB}` }).then((answer) => {
      expect(answer.status).toBe(200);
      order.push('beat');
    });
    await Promise.all([...attack, asked('victim', victim.post), beat]);
    expect(order.indexOf('victim')).toBeLessThan(order.length - 3);
    expect(order.indexOf('beat')).toBeLessThan(order.length - 3);
    expect(await rowOf(victim.id)).toMatchObject({ note: 'use [redacted: github]' });
  });

  it.each<[string, string, object]>([
    ['a beat with a note', 'heartbeat', { note: `see ${GITHUB}` }],
    ['a checkpoint', 'checkpoints', { trigger: 'x', reasoning: { nextStep: `see ${GITHUB}` } }],
    ['a finish', 'finish', { outcome: 'failed', summary: `see ${GITHUB}` }],
    ['an interrupt', 'interrupt', { reason: `see ${GITHUB}` }],
  ])('comes after the lease is renewed: %s', { timeout: 60_000 }, async (_what, path, body) => {
    const own = await start(`own-${path}`);
    const leaseEnd = await nearlyExpired(own.id);
    // What the same agent said before is searched first, and takes a while.
    let waiting = 60;
    const before = Array.from({ length: waiting }, () =>
      redactSaid(dense(19_000), { agent: `own-${path}` }).finally(() => (waiting -= 1)),
    );
    const answer = own.post(path, body, { Prefer: 'respond-async' });
    const renewed = await until('the lease is renewed', async () => {
      const { lease_expires_at: now } = await rowOf(own.id);
      return now && now > leaseEnd ? { stillWaiting: waiting } : undefined;
    });
    expect(renewed.stillWaiting).toBeGreaterThan(0);
    expect((await answer).status).toBeLessThan(300);
    await Promise.all(before);
    expect(JSON.stringify(await rowOf(own.id))).not.toContain(GITHUB);
  });

  it('that takes too long withholds the text, and says so', async () => {
    // As if its time were over already: when a timer fires depends on the machine.
    const options = { agent: 'a', signal: AbortSignal.abort() };
    const reasoning = { objective: 'Go on', transcriptTail: dense(200_000) };
    expect(await redactOrWithhold(reasoning, options)).toEqual({
      transcriptTail: expect.stringContaining('[withheld: '),
    });
    expect(await redactSaid(dense(19_000), options)).toContain('[withheld: ');
    expect(await redactSaid(`see ${GITHUB}`)).toBe('see [redacted: github]');
  });

  it('passes over plain words, in which it would find nothing', async () => {
    expect(isPlain('Running the tests, 3 of 12 are done.')).toBe(true);
    for (const text of ['a=b', 'token: x', 'src/a.ts', GITHUB, '-u', 'x'.repeat(30), '123456']) {
      expect(isPlain(text)).toBe(false);
    }
    const word = fc.stringMatching(/^[A-Za-z][a-z]{0,19}$|^\d{1,4}$/);
    const known = fc.constantFrom('password', 'Bearer', 'token', 'secret', 'is', 'user', 'key');
    const words = fc.array(fc.oneof(word, known), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(words, async (said) => {
        const text = said.join(' ');
        expect(isPlain(text)).toBe(true);
        expect(await findLikely(text)).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });
});
