import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { Agent, IssueClaim } from '../../../src/db/schema.ts';
import { newId } from '../../../src/services/ids.ts';
import {
  type ReconcileReport,
  reconcileIssues,
} from '../../../src/services/reconcile/reconcile-issues.ts';
import {
  defaultReconcileSettings,
  type ReconcileDeps,
  type ReconcileSettings,
} from '../../../src/services/reconcile/settings.ts';
import {
  createLabelWriter,
  type LabelWriter,
} from '../../../src/services/reconcile/label-writer.ts';
import type { RepoHandle } from './handle.ts';
import { never, type Process, setStage, type Stage } from './stage.ts';

/** The report of a pass that found all as it should be. */
export const quiet = { warnings: [], touchedIssueUrls: [], adopted: 0, released: 0, labelled: 0 };

export const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);

/**
 * Registers hooks that set one stage for the file, and on it an agent with one repository for each
 * test. What it returns acts on those of the test that runs.
 */
export function reconcileScene() {
  let stage: Stage;
  let count = 0;
  let fullName = '';
  let repo: RepoHandle;
  let agent: Agent;
  const writers: LabelWriter[] = [];

  beforeAll(async () => {
    stage = await setStage();
  });
  beforeEach(async () => {
    count += 1;
    fullName = `acme/app-${count}`;
    repo = stage.fake.repo(fullName);
    agent = await stage.agent(`builder-${count}`, fullName);
  });
  afterEach(async () => {
    await Promise.all(writers.splice(0).map((writer) => writer.close()));
    // What a test left unwritten is not the next one's.
    await stage.db.updateTable('issue_claims').set({ labels_due_at: null }).execute();
    await stage.db.deleteFrom('forge_turns').execute();
    stage.fake.clearFaults();
    expect(stage.fake.violations.splice(0)).toEqual([]);
  });
  afterAll(() => stage.close());

  const mine = () => `agent/builder-${count}`;
  const url = (number: number) => `https://github.com/${fullName}/issues/${number}`;

  /** What a process has to reconcile with; its writer is closed after the test. */
  function deps(on: Process = stage, settings: Partial<ReconcileSettings> = {}): ReconcileDeps {
    const { db, forge, syncDeps } = on;
    const own = {
      db,
      forge,
      log: syncDeps.log,
      settings: {
        ...defaultReconcileSettings,
        // Patient, and without a pace, so that a busy machine changes no outcome.
        writeBudgetMs: 25_000,
        writeIntervalMs: 0,
        ...settings,
      },
    };
    const writer = createLabelWriter(own);
    writers.push(writer);
    return { ...own, writer };
  }

  /** A pass of a process that ends after it. */
  async function reconcile(
    on: Process = stage,
    settings: Partial<ReconcileSettings> = {},
    signal = never,
  ): Promise<ReconcileReport> {
    const own = deps(on, settings);
    try {
      return await reconcileIssues(own, agent, { signal });
    } finally {
      await own.writer.close();
    }
  }

  /** Sync, as a heartbeat some minutes later would. */
  async function syncLater(): Promise<void> {
    await stage.age(fullName, 120);
    await stage.sync(agent);
  }

  async function issueId(number: number): Promise<string> {
    const { id: repoId } = await stage.repo(fullName);
    const { id } = await stage.db
      .selectFrom('issues')
      .select('id')
      .where('repo_id', '=', repoId)
      .where('number', '=', number)
      .executeTakeFirstOrThrow();
    return id;
  }

  async function claim(number: number, by: Agent = agent): Promise<void> {
    await stage.db
      .insertInto('issue_claims')
      .values({ id: newId(), issue_id: await issueId(number), agent_id: by.id, source: 'session' })
      .execute();
  }

  async function claims(number: number): Promise<IssueClaim[]> {
    return await stage.db
      .selectFrom('issue_claims')
      .selectAll()
      .where('issue_id', '=', await issueId(number))
      .orderBy('id')
      .execute();
  }

  /** As if the claim, and the last change seen of its issue, were so old. */
  async function ageClaim(number: number, minutes: number): Promise<void> {
    const id = await issueId(number);
    const then = minutesAgo(minutes);
    await stage.db
      .updateTable('issue_claims')
      .set({ claimed_at: then })
      .where('issue_id', '=', id)
      .execute();
    await stage.db.updateTable('issues').set({ changed_at: then }).where('id', '=', id).execute();
  }

  const writes = () => stage.fake.requests.filter(({ method }) => method !== 'GET');

  return {
    get stage() {
      return stage;
    },
    get repo() {
      return repo;
    },
    get agent() {
      return agent;
    },
    get fullName() {
      return fullName;
    },
    get count() {
      return count;
    },
    mine,
    url,
    deps,
    reconcile,
    syncLater,
    issueId,
    claim,
    claims,
    ageClaim,
    writes,
  };
}
