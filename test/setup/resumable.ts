import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import type { Db } from '../../src/db/connect.ts';
import type { Timings } from '../../src/start.ts';
import { commitAll, gitLine, put, userGit } from '../services/git/helpers.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { type Answer, type BackendKind, startService, type TestService } from './service.ts';
import { until } from './until.ts';

/** A service that may checkpoint what lies below `root`, and a way to work with its sessions. */
export type Resumable = {
  /** The one that is called; {@link Resumable.moveTo} puts another in its place. */
  service: TestService;
  db(): Db;
  /** The folder of all worktrees and remotes of this test. */
  root: string;
  agent: string;
  /** A repository with one commit, cloned from a bare remote of the same name. */
  clone(name: string, url?: (remote: string) => string): { worktree: string; remote: string };
  policy(policy: object, paused?: boolean): Promise<void>;
  start(body?: object): Promise<Started>;
  claim(body?: object): Promise<Claimed>;
  /** Moves a session's deadline into the past. */
  expire(id: string): Promise<void>;
  /** Moves it to so many seconds from now. */
  endsIn(id: string, seconds: number): Promise<void>;
  session(id: string): Promise<Answer['body']>;
  checkpoints(id: string): Promise<Answer['body'][]>;
  runs(kind: string, sessionId?: string): Promise<Answer['body'][]>;
  /** Waits for a run of the session that has this kind and is finished. */
  finished(kind: string, sessionId: string): Promise<Answer['body']>;
  /** The environment of another worker. */
  workerEnv(host: string): Record<string, string>;
  /** Starts another worker of a host; with the same data folder where that is the same. */
  worker(host: string, timings?: Timings): Promise<TestService>;
  /** Stops the service for good, and starts one on another host. */
  moveTo(host: string): Promise<void>;
  stop(): Promise<void>;
};

export type Started = {
  id: string;
  token: string;
  session: Answer['body'];
  /** Calls the session's own routes. */
  post(verb: string, body?: object, headers?: Record<string, string>): Promise<Answer>;
};
export type Claimed = Started & { continuation: string };

export type ResumableOptions = {
  worker?: boolean;
  timings?: Timings;
  /** A database of the test's own, which drops it. */
  database?: TestDatabase;
};

export async function startResumable(
  backend: BackendKind,
  env: Record<string, string> = {},
  options: ResumableOptions = {},
): Promise<Resumable> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'defib-flow-')));
  const database = options.database ?? (await createTestDatabase());
  const place = (host: string) => ({
    DEFIB_HOSTNAME: host,
    DEFIB_DATA_DIR: join(root, `data-${host}`),
  });
  const service = await startService(backend, {
    ...options,
    database,
    env: { DEFIB_WORKTREE_ROOTS: join(root, 'work'), ...place('here'), ...env },
  });
  const agent = await service.agentToken('builder');
  const others: TestService[] = [];
  const on = async (env: Record<string, string>, more: object) => {
    const other = await startService(backend, { ...more, database, env });
    others.push(other);
    return other;
  };

  const started = ({ body }: Answer): Started => ({
    id: body.session.id,
    token: body.token,
    session: body.session,
    post: (verb, request, headers) =>
      flow.service.call('POST', `/api/sessions/${body.session.id}/${verb}`, {
        token: body.token,
        ...(request && { body: request }),
        ...(headers && { headers }),
      }),
  });

  const flow: Resumable = {
    service,
    db: () => flow.service.started.deps.db,
    root,
    agent,
    clone: (name, url = (path) => path) => {
      const remote = join(root, 'work', 'remotes', `${name}.git`);
      const worktree = join(root, 'work', name);
      userGit(root, ['init', '--quiet', '--bare', '-b', 'main', remote]);
      userGit(root, ['init', '--quiet', '-b', 'main', worktree]);
      put(worktree, 'a.txt', 'one\n');
      put(worktree, 'dir/b.txt', 'two\n');
      put(worktree, 'gone.txt', 'bye\n');
      commitAll(worktree);
      userGit(worktree, ['push', '--quiet', remote, 'main']);
      userGit(worktree, ['remote', 'add', 'origin', url(remote)]);
      userGit(worktree, ['update-ref', 'refs/remotes/origin/main', 'main']);
      return { worktree, remote };
    },
    policy: async (policy, paused = false) => {
      const body = { policy, paused };
      const answer = await flow.service.call('PUT', '/api/agents/builder', { body });
      if (answer.status !== 200) throw new Error(answer.text);
    },
    start: async (body = {}) => {
      const answer = await flow.service.call('POST', '/api/agents/builder/sessions', {
        token: agent,
        body: { objective: 'fix the build', host: 'here', ...body },
      });
      if (answer.status !== 201) throw new Error(answer.text);
      return started(answer);
    },
    claim: async (body) =>
      await until('there is something to claim', async () => {
        const answer = await flow.service.call('POST', '/api/agents/builder/claim', {
          token: agent,
          ...(body && { body }),
        });
        if (answer.status === 204) return undefined;
        if (answer.status !== 200) throw new Error(answer.text);
        return { ...started(answer), continuation: answer.body.continuation };
      }),
    expire: (id) => flow.endsIn(id, -1),
    endsIn: async (id, seconds) => {
      await flow
        .db()
        .updateTable('sessions')
        .set({ deadline_at: new Date(Date.now() + seconds * 1000) })
        .where('id', '=', id)
        .execute();
    },
    session: async (id) => (await flow.service.call('GET', `/api/sessions/${id}`)).body,
    checkpoints: async (id) =>
      (await flow.service.call('GET', `/api/sessions/${id}/checkpoints`)).body.items,
    runs: async (kind, sessionId) => {
      const { body } = await flow.service.call('GET', `/api/runs?kind=${kind}`);
      const all: Answer['body'][] = body.items;
      return sessionId === undefined ? all : all.filter((run) => run.sessionId === sessionId);
    },
    finished: async (kind, sessionId) =>
      await until(`a ${kind} is finished`, async () =>
        (await flow.runs(kind, sessionId)).find((run) => run.finishedAt),
      ),
    workerEnv: (host) => ({
      ...flow.service.env,
      ...place(host),
      DEFIB_PUBLIC_URL: flow.service.url,
    }),
    worker: (host, timings) =>
      on(flow.workerEnv(host), { web: false, ...(timings && { timings }) }),
    moveTo: async (host) => {
      const before = flow.service;
      await before.stop();
      const now = await on({ ...before.env, ...place(host) }, {});
      flow.service = now;
      others.splice(others.indexOf(now), 1);
      // As if the old host had been gone for a while.
      await sql`UPDATE worker_hosts SET seen_at = now() - interval '1 hour'
        WHERE host <> ${host}`.execute(flow.db());
    },
    stop: async () => {
      await Promise.all([...others, flow.service].map((each) => each.stop()));
      if (!options.database) await database.drop();
      rmSync(root, { recursive: true, force: true, maxRetries: 10 });
    },
  };
  return flow;
}

/** Ends every session, so that none is taken for one of the next test. */
export async function endAll(db: Db): Promise<void> {
  await sql`UPDATE sessions SET status = 'failed', ended_at = now() WHERE ended_at IS NULL`.execute(
    db,
  );
  await sql`UPDATE sessions SET resume_at = NULL WHERE resume_at IS NOT NULL`.execute(db);
}

/** Leaves a worktree dirty in every way that a checkpoint must keep apart. */
export function makeDirty(worktree: string): void {
  put(worktree, 'a.txt', 'one\nstaged\n');
  userGit(worktree, ['add', 'a.txt']);
  put(worktree, 'a.txt', 'one\nstaged\nunstaged\n');
  put(worktree, 'new/untracked.bin', Buffer.from([0, 255, 13, 10]));
  put(worktree, 'run.sh', '#!/bin/sh\n', 0o755);
  rmSync(join(worktree, 'gone.txt'), { force: true });
}

/** The checkpoint branches of a repository. */
export const checkpointBranches = (repository: string): string[] =>
  gitLine(repository, 'for-each-ref', '--format=%(refname:short)', 'refs/heads/checkpoint')
    .split('\n')
    .filter((line) => line !== '');
