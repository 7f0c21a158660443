import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { type Db, openDb, openPool } from '../../../src/db/connect.ts';
import { upsertAgent } from '../../../src/db/queries/agents.ts';
import { listAgentSyncStates } from '../../../src/db/queries/repo-sync.ts';
import { setAgentRepos, upsertRepo } from '../../../src/db/queries/repos.ts';
import type { Agent, Repo } from '../../../src/db/schema.ts';
import { createLog } from '../../../src/log.ts';
import type { Forge } from '../../../src/services/forge/forge.ts';
import type { GitHubOptions } from '../../../src/services/forge/github/github.ts';
import { newId } from '../../../src/services/ids.ts';
import { createFlights } from '../../../src/services/sync/flights.ts';
import {
  defaultSyncSettings,
  type SyncDeps,
  type SyncSettings,
} from '../../../src/services/sync/settings.ts';
import { type SyncReport, syncRepos } from '../../../src/services/sync/sync-repos.ts';
import { createTestDatabase } from '../database.ts';
import { type FakeGitHub, type FakeOptions, startFakeGitHub } from './fake.ts';
import { testForge } from './forge.ts';

export const never = new AbortController().signal;

/** What one process of Defib has, as far as sync and reconcile need it. */
export type Process = { db: Db; forge: Forge; syncDeps: SyncDeps; close(): Promise<void> };

export type Stage = Process & {
  fake: FakeGitHub;
  databaseUrl: string;
  /** A process of its own: pool, flights, name. */
  process(options?: ProcessOptions): Process;
  /** An agent that tracks these repositories. */
  agent(name: string, ...fullNames: string[]): Promise<Agent>;
  repo(fullName: string): Promise<Repo>;
  /** What the step of a heartbeat does. */
  sync(agent: Agent, process?: Process, signal?: AbortSignal): Promise<SyncReport>;
  /** Lets stored times be older, in place of waiting. */
  age(fullName: string, seconds: number): Promise<void>;
};

export type ProcessOptions = { settings?: Partial<SyncSettings>; forge?: Partial<GitHubOptions> };

/** A real database and a fake GitHub, with one process on them. */
export async function setStage(
  options: ProcessOptions & { fake?: FakeOptions } = {},
): Promise<Stage> {
  const database = await createTestDatabase();
  const fake = await startFakeGitHub(options.fake);
  const processes: Process[] = [];
  const open = (given: ProcessOptions = {}) => {
    const opened = openProcess(database.url, fake.url, {
      settings: { ...options.settings, ...given.settings },
      forge: { ...options.forge, ...given.forge },
    });
    processes.push(opened);
    return opened;
  };
  const own = open();
  const { db } = own;
  return {
    ...own,
    fake,
    databaseUrl: database.url,
    process: open,
    async agent(name, ...fullNames) {
      const agent = await upsertAgent(db, newId(), name, {});
      if (!agent) throw new Error(`no agent ${name}`);
      const repos = await Promise.all(fullNames.map((fullName) => track(db, fullName)));
      await setAgentRepos(
        db,
        agent.id,
        repos.map(({ id }) => id),
      );
      return agent;
    },
    repo: (fullName) => track(db, fullName),
    sync: (agent, on = own, signal = never) => syncAgent(on, agent, signal),
    age: (fullName, seconds) => age(db, fullName, seconds),
    async close() {
      await Promise.all(processes.map((process) => process.close()));
      await fake.close();
      await database.drop();
    },
  };
}

export function openProcess(
  databaseUrl: string,
  gitHubUrl: string,
  { settings, forge: forgeOptions }: ProcessOptions,
): Process {
  const pool = openPool({
    url: databaseUrl,
    max: 8,
    applicationName: 'test',
    onError: () => undefined,
  });
  const db = openDb(pool);
  const forge = testForge(gitHubUrl, forgeOptions);
  const log = createLog({ level: 'silent', service: 'test' });
  const failed: unknown[] = [];
  const flights = createFlights(4, (error) => failed.push(error));
  const syncDeps: SyncDeps = {
    db,
    forge,
    log,
    flights,
    instance: randomUUID(),
    // Patient, so that a busy machine changes no outcome.
    settings: { ...defaultSyncSettings, pollMs: 20, waitMs: 25_000, ...settings },
  };
  return {
    db,
    forge,
    syncDeps,
    async close() {
      await flights.close();
      await db.destroy();
      if (failed.length > 0) throw new Error('a flight failed', { cause: failed[0] });
    },
  };
}

async function track(db: Db, fullName: string): Promise<Repo> {
  const [owner = '', name = ''] = fullName.split('/');
  return await upsertRepo(db, newId(), { owner, name });
}

async function syncAgent(
  { db, syncDeps }: Process,
  agent: Agent,
  signal: AbortSignal,
): Promise<SyncReport> {
  const repos = await listAgentSyncStates(db, agent.id, syncDeps.settings);
  return await syncRepos(syncDeps, repos, { signal });
}

const TIMES = [
  'synced_at',
  'pass_started_at',
  'last_full_sync_at',
  'lease_until',
  'next_attempt_at',
  'label_next_attempt_at',
  'pass_began_at',
] as const;

async function age(db: Db, fullName: string, seconds: number): Promise<void> {
  const repo = await track(db, fullName);
  const older = (time: Date | null) => time && new Date(time.getTime() - seconds * 1000);
  const set = Object.fromEntries(TIMES.map((column) => [column, older(repo[column])]));
  await db.updateTable('repos').set(set).where('id', '=', repo.id).execute();
  await sql`
    UPDATE issue_claims SET labels_due_at = labels_due_at - make_interval(secs => ${seconds})
    FROM issues WHERE issues.id = issue_claims.issue_id AND issues.repo_id = ${repo.id}`.execute(
    db,
  );
}
