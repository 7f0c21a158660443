import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commitAll, gitLine, put, userGit } from '../services/git/helpers.ts';
import { type Answer, type BackendKind, startService, type TestService } from './service.ts';
import { until } from './until.ts';

/** A service that may checkpoint what lies below `root`, and a way to work with its sessions. */
export type Resumable = {
  service: TestService;
  /** The folder of all worktrees and remotes of this test. */
  root: string;
  agent: string;
  /** A repository with one commit, cloned from a bare remote of the same name. */
  clone(name: string): { worktree: string; remote: string };
  start(body?: object): Promise<Started>;
  claim(body?: object): Promise<Claimed>;
  /** Moves a session's deadline into the past. */
  expire(id: string): Promise<void>;
  session(id: string): Promise<Answer['body']>;
  runs(kind: string): Promise<Answer['body'][]>;
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

export async function startResumable(
  backend: BackendKind,
  env: Record<string, string> = {},
): Promise<Resumable> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'defib-flow-')));
  const service = await startService(backend, {
    env: {
      DEFIB_WORKTREE_ROOTS: join(root, 'work'),
      DEFIB_DATA_DIR: join(root, 'data'),
      DEFIB_HOSTNAME: 'here',
      ...env,
    },
  });
  const agent = await service.agentToken('builder');

  const started = ({ body }: Answer): Started => ({
    id: body.session.id,
    token: body.token,
    session: body.session,
    post: (verb, request, headers) =>
      service.call('POST', `/api/sessions/${body.session.id}/${verb}`, {
        token: body.token,
        ...(request && { body: request }),
        ...(headers && { headers }),
      }),
  });

  return {
    service,
    root,
    agent,
    clone: (name) => {
      const remote = join(root, 'work', 'remotes', `${name}.git`);
      const worktree = join(root, 'work', name);
      userGit(root, ['init', '--quiet', '--bare', '-b', 'main', remote]);
      userGit(root, ['init', '--quiet', '-b', 'main', worktree]);
      put(worktree, 'a.txt', 'one\n');
      put(worktree, 'dir/b.txt', 'two\n');
      put(worktree, 'gone.txt', 'bye\n');
      commitAll(worktree);
      userGit(worktree, ['remote', 'add', 'origin', remote]);
      userGit(worktree, ['push', '--quiet', '-u', 'origin', 'main']);
      return { worktree, remote };
    },
    start: async (body = {}) => {
      const answer = await service.call('POST', '/api/agents/builder/sessions', {
        token: agent,
        body: { objective: 'fix the build', host: 'here', ...body },
      });
      if (answer.status !== 201) throw new Error(answer.text);
      return started(answer);
    },
    claim: async (body) =>
      await until('there is something to claim', async () => {
        const answer = await service.call('POST', '/api/agents/builder/claim', {
          token: agent,
          ...(body && { body }),
        });
        if (answer.status === 204) return undefined;
        if (answer.status !== 200) throw new Error(answer.text);
        return { ...started(answer), continuation: answer.body.continuation };
      }),
    expire: async (id) => {
      await service.started.deps.db
        .updateTable('sessions')
        .set({ deadline_at: new Date(Date.now() - 1000) })
        .where('id', '=', id)
        .execute();
    },
    session: async (id) => (await service.call('GET', `/api/sessions/${id}`)).body,
    runs: async (kind) => (await service.call('GET', `/api/runs?kind=${kind}`)).body.items,
    stop: async () => {
      await service.stop();
      rmSync(root, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Leaves a worktree dirty in every way that a checkpoint must keep apart. */
export function makeDirty(worktree: string): void {
  put(worktree, 'a.txt', 'one\nstaged\n');
  userGit(worktree, ['add', 'a.txt']);
  put(worktree, 'a.txt', 'one\nstaged\nunstaged\n');
  put(worktree, 'new/untracked.bin', Buffer.from([0, 255, 13, 10]));
  put(worktree, 'run.sh', '#!/bin/sh\n', 0o755);
  rmSync(join(worktree, 'gone.txt'));
}

/** The checkpoint branches of a repository. */
export const checkpointBranches = (repository: string): string[] =>
  gitLine(repository, 'for-each-ref', '--format=%(refname:short)', 'refs/heads/checkpoint')
    .split('\n')
    .filter((line) => line !== '');
