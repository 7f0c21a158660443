import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestDatabase } from '../setup/database.ts';
import { type ServiceProcess, startProcess } from '../setup/processes.ts';
import { type Answer, type Call, caller, serviceEnv } from '../setup/service.ts';
import { upload } from '../setup/upload.ts';

export type AttackedSession = {
  id: string;
  /** Saves a checkpoint as JSON, or with a bundle, and waits until it is settled. */
  save(body: object, bundle?: Buffer): Promise<Answer>;
  beat(note: string): Promise<Answer>;
};

/** API and workers in a process of their own, with two agents that do not know each other. */
export type Attacked = {
  process: ServiceProcess;
  call: Call;
  /** Folders of the worktrees, and of what the service keeps. */
  work: string;
  dataDir: string;
  /** A session of the agent that attacks. */
  session(body?: object): Promise<AttackedSession>;
  /** What the other agent calls meanwhile. */
  others: (() => Promise<Answer>)[];
  stop(): Promise<void>;
};

export const ATTACKER = 'attacker';

export async function startAttacked(): Promise<Attacked> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'defib-abuse-')));
  const [work, dataDir] = [join(root, 'work'), join(root, 'data')];
  for (const folder of [work, dataDir]) mkdirSync(folder);
  const database = await createTestDatabase();
  const base = serviceEnv('postgres', database.url);
  const env = {
    ...base,
    DEFIB_HOSTNAME: 'here',
    DEFIB_DATA_DIR: dataDir,
    DEFIB_WORKTREE_ROOTS: work,
    DEFIB_RATE_LIMIT_PER_MINUTE: '0',
  };
  const process = await startProcess('main', env);
  const call = caller(process.url, base['DEFIB_OPERATOR_TOKEN'] ?? '');
  const tokenOf = async (agentName: string) =>
    (await call('POST', '/api/tokens', { body: { scope: 'agent', agentName } })).body.token;
  const session = async (agentName: string, token: string, body: object) => {
    const path = `/api/agents/${agentName}/sessions`;
    const answer = await call('POST', path, {
      token,
      body: { objective: 'x', leaseSeconds: 3600, ...body },
    });
    return sessionOf(process.url, call, answer);
  };

  const [attacker, other] = [await tokenOf(ATTACKER), await tokenOf('other')];
  const own = await session('other', other, {});
  return {
    process,
    call,
    work,
    dataDir,
    session: (body = {}) => session(ATTACKER, attacker, body),
    others: [
      () => own.beat('read src/main.ts'), // has to be searched for secrets
      () => call('POST', '/api/agents/other/heartbeat', { token: other }),
    ],
    stop: async () => {
      await process.kill();
      await database.drop();
      rmSync(root, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

let saves = 0;

function sessionOf(url: string, call: Call, { body: started }: Answer): AttackedSession {
  const { token } = started;
  const { id } = started.session;
  const send = (body: object, bundle: Buffer | undefined, headers: Record<string, string>) =>
    bundle
      ? upload({ service: { url } }, { id, token }, { meta: body, bundle }, headers)
      : call('POST', `/api/sessions/${id}/checkpoints`, { token, body, headers });
  return {
    id,
    save: async (body, bundle) => {
      saves += 1;
      // The same request again is the same run: it is waited for, however long it takes.
      const headers = { 'Idempotency-Key': `save-${saves}`, Prefer: 'wait=60' };
      for (let tries = 1; ; tries += 1) {
        const answer = await send(body, bundle, headers);
        if (answer.status !== 202 || tries === 3) return answer;
      }
    },
    beat: (note) => call('POST', `/api/sessions/${id}/heartbeat`, { token, body: { note } }),
  };
}
