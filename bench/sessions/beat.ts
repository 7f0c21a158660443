import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import { createHttpClient, type HttpClient } from '../contenders/http-client.ts';
import { runClosedLoop } from '../measure/closed-loop.ts';
import type { Summary } from '../measure/stats.ts';
import type { DefibServer } from '../servers/defib.ts';

export type BeatFigures = { callers: number; beat: Summary; update: Summary };

const LOAD = { maxCalls: 20_000, maxMs: 5_000 };

/**
 * Light beats over HTTP against a bare single-statement UPDATE of a row of its own, each caller with
 * a session, in turns on one server.
 */
export async function measureBeat(
  server: DefibServer,
  databaseUrl: string,
  callers: number,
): Promise<BeatFigures> {
  await using resources = new AsyncDisposableStack();
  const client = createHttpClient(server.port, callers);
  resources.defer(async () => void (await client.close()));
  const sessions: { id: string; token: string }[] = [];
  for (let n = 0; n < callers; n += 1) sessions.push(await startSession(client, server));
  const beat = async (i: number) => {
    const session = sessions[i % callers];
    if (!session) throw new Error('no session');
    const path = `/api/sessions/${session.id}/heartbeat`;
    const { status } = await client.send('POST', path, bearer(session.token), { turn: 1 });
    if (status !== 200) throw new Error(`a beat was answered ${status}`);
  };
  const pool = new Pool({ connectionString: databaseUrl, max: Math.min(callers, 10) });
  resources.defer(() => pool.end());
  const ids = await makeRows(pool, callers);
  const update = (i: number) =>
    pool.query({
      name: 'bare',
      text: 'UPDATE bench_rows SET seen_at = now(), turn = $2 WHERE id = $1 RETURNING *',
      values: [ids[i % callers], i],
    });
  // Once unmeasured: connections, caches and compilers warm up.
  await runClosedLoop({ callers, maxCalls: 500, maxMs: 2_000 }, 0, beat);
  await runClosedLoop({ callers, maxCalls: 500, maxMs: 2_000 }, 0, update);
  return {
    callers,
    beat: await runClosedLoop({ callers, ...LOAD }, 0, beat),
    update: await runClosedLoop({ callers, ...LOAD }, 0, update),
  };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function startSession(
  client: HttpClient,
  { operatorToken }: DefibServer,
): Promise<{ id: string; token: string }> {
  const path = '/api/agents/bench/sessions';
  const asked = { objective: 'bench', leaseSeconds: 3600 };
  const { status, body } = await client.send('POST', path, bearer(operatorToken), asked);
  if (status !== 201) throw new Error(`a session was answered ${status}: ${JSON.stringify(body)}`);
  const { session, token } = body as { session: { id: string }; token: string };
  return { id: session.id, token };
}

async function makeRows(pool: Pool, count: number): Promise<string[]> {
  await pool.query(
    'CREATE TABLE IF NOT EXISTS bench_rows (id uuid PRIMARY KEY, seen_at timestamptz, turn int)',
  );
  const ids = Array.from({ length: count }, () => randomUUID());
  await pool.query('INSERT INTO bench_rows (id) SELECT unnest($1::uuid[])', [ids]);
  return ids;
}
