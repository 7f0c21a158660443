import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { put } from '../services/git/helpers.ts';
import { planted } from '../setup/planted.ts';
import { type Resumable, startResumable } from '../setup/resumable.ts';
import { bundleOf, upload } from '../setup/upload.ts';

const kinds = Object.keys(planted);
const fits = (text: string, max: number) => text.length <= max && !/[\n/]/.test(text);
/** A URL has no quotes, spaces or equals signs. */
const fitsUrl = (text: string) => /^[\w.:-]+$/.test(text);

const DEFAULTS = { branch: 'main', host: 'elsewhere', worktree: '/nowhere' };

/** What a start says besides the objective, with the secret wherever it fits. */
const names = (text: string, n: number) => ({
  ...DEFAULTS,
  ...(fits(text, 200) && { branch: `fix/${text}`, host: text, worktree: `/nowhere/${text}/app` }),
  ...(fitsUrl(text) && { issueUrl: `https://example.com/issues/${n}/${text}` }),
});

const reasoning = (text: string) => ({
  objective: `use ${text}`,
  approach: text,
  decisions: [{ what: text, why: `because of\n${text}` }],
  done: [text],
  remaining: [`then\n${text}`],
  nextStep: text,
  openQuestions: [text],
  pendingToolCalls: [{ tool: 'Bash', input: { command: text, [text]: [text] } }],
  transcriptTail: JSON.stringify({ text }),
});

describe('the prompt', { timeout: 180_000 }, () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres');
  });
  afterAll(() => flow.stop());

  it.each(kinds)('holds no secret of the kind %s, wherever it was put', async (kind) => {
    const { text, secret } = planted[kind]!;
    const first = await flow.start({
      objective: `do\n${text}`,
      ...names(text, kinds.indexOf(kind)),
    });
    expect((await first.post('heartbeat', { note: text })).status).toBe(200);
    const trigger = text.length <= 100 ? text : 'turn';
    const saved = await first.post('checkpoints', { trigger, reasoning: reasoning(text) });
    expect(saved.status, saved.text).toBe(201);
    expect(saved.text).not.toContain(secret);
    await first.post('interrupt', { reason: text.slice(0, 1000) });

    const second = await flow.claim({ host: 'here' });
    expect(second.continuation).toContain('[redacted: ');
    expect(second.continuation).not.toContain(secret);
    const read = (Accept: string) =>
      flow.service.call('GET', `/api/sessions/${second.id}/continuation`, { headers: { Accept } });
    expect((await read('application/json')).text).not.toContain(secret);
    expect((await read('text/markdown')).text).not.toContain(secret);
    await second.post('finish', { outcome: 'failed', summary: text });
    const { rows } = await sql<{ text: string }>`
      SELECT concat_ws(' ', objective, note, summary, end_reason) AS text FROM sessions
      UNION ALL SELECT input::text FROM runs
      UNION ALL SELECT concat_ws(' ', reasoning, trigger) FROM checkpoints`.execute(flow.db());
    expect(rows.map((row) => row.text).join('\n')).not.toContain(secret);
  });

  it('and the checkpoint hold none that came with an upload, or as the name of a file', async () => {
    const { worktree } = flow.clone('named');
    const short = kinds.filter((kind) => fits(planted[kind]!.text, 200));
    for (const kind of short) put(worktree, join('dir', planted[kind]!.text), 'x\n');
    const session = await flow.start({ worktree, host: 'laptop' });
    const { commit, bundle } = await bundleOf(worktree, session);
    const said = kinds.map((kind) => planted[kind]!.text);
    const meta = {
      trigger: 'turn',
      commit,
      warnings: said.map((text) => `could not read ${text}`),
      notCaptured: said.map((path) => ({ path, reason: `is a FIFO: ${path}` })),
    };
    const saved = await upload(flow, session, { meta, bundle });
    expect(saved.status, saved.text).toBe(201);
    await session.post('interrupt', { reason: 'stopped' });
    const { continuation } = await flow.claim({ host: 'here' });
    expect(continuation).toContain('[redacted: ');
    for (const kind of kinds) {
      expect(saved.text, kind).not.toContain(planted[kind]!.secret);
      expect(continuation, kind).not.toContain(planted[kind]!.secret);
    }
  });
});
