import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'pg';
import { median, percentile } from '../measure/stats.ts';
import type { DefibServer } from '../servers/defib.ts';

export type ResumeFigures = { sessions: number; files: number; median: number; p90: number };

const SESSIONS = 20;
const FILES = 1_000;
const DIRTY = 10;

/**
 * Milliseconds from a session's deadline until its successor can be claimed with its prompt, its work
 * saved and restored, at the service's default settings; one session at a time.
 */
export async function measureResume(
  server: DefibServer,
  databaseUrl: string,
  work: string,
): Promise<ResumeFigures> {
  const repo = makeRepository(work);
  const pool = new Pool({ connectionString: databaseUrl, max: 1 });
  const times: number[] = [];
  try {
    for (let n = 0; n < SESSIONS; n += 1) {
      for (let file = 0; file < DIRTY; file += 1)
        appendFileSync(join(repo, `f${file}.txt`), `${n}\n`);
      times.push(await one(server, pool, repo));
    }
  } finally {
    await pool.end();
  }
  const ascending = times.toSorted((a, b) => a - b);
  return {
    sessions: SESSIONS,
    files: FILES,
    median: median(times),
    p90: percentile(ascending, 0.9),
  };
}

async function one(server: DefibServer, pool: Pool, worktree: string): Promise<number> {
  const { session } = await call(server, '/api/agents/bench/sessions', {
    objective: 'bench',
    worktree,
    timeoutSeconds: 1,
  });
  for (;;) {
    const claimed = await call(server, '/api/agents/bench/claim', {});
    if (claimed) {
      await call(
        server,
        `/api/sessions/${claimed.session.id}/finish`,
        { outcome: 'completed' },
        claimed.token,
      );
      const { rows } = await pool.query<{ ms: number }>(
        `SELECT (extract(epoch FROM successor.ready_at - ended.deadline_at) * 1000)::float8 AS ms
         FROM sessions AS ended JOIN sessions AS successor ON successor.resumed_from = ended.id
         WHERE ended.id = $1`,
        [session.id],
      );
      return rows[0]?.ms ?? Number.NaN;
    }
    await delay(50);
  }
}

type Started = { session: { id: string }; token: string };

async function call(
  { port, operatorToken }: DefibServer,
  path: string,
  body: object,
  token = operatorToken,
): Promise<Started> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return (response.status === 204 ? undefined : await response.json()) as Started;
}

function makeRepository(folder: string): string {
  const repo = join(folder, 'repo');
  mkdirSync(repo, { recursive: true });
  const git = (...args: string[]) => execFileSync('git', args, { cwd: repo, stdio: 'ignore' });
  git('init', '--quiet');
  for (let n = 0; n < FILES; n += 1) writeFileSync(join(repo, `f${n}.txt`), `${n}\n`.repeat(100));
  git('add', '-A');
  git('-c', 'user.name=b', '-c', 'user.email=b@example.com', 'commit', '--quiet', '-m', 'base');
  return repo;
}
