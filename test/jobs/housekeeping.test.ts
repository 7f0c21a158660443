import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { insertBundle } from '../../src/db/queries/bundles.ts';
import { purgeClaims } from '../../src/db/queries/claim-retention.ts';
import { purgeRuns } from '../../src/db/queries/runs.ts';
import { housekeepingJob, scheduleHousekeeping } from '../../src/jobs/housekeeping.ts';
import { HOUSEKEEPING_QUEUE } from '../../src/jobs/queues.ts';
import { putAgent } from '../../src/services/agents/put.ts';
import { openHeartbeatDeps } from '../../src/services/heartbeat/deps.ts';
import { newId } from '../../src/services/ids.ts';
import { startSession } from '../../src/services/sessions/start.ts';
import { canStartRedis, flushableRedis } from '../setup/redis.ts';
import { backends, startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

describe.each(backends)('housekeeping on %s', (backend) => {
  let service: TestService;
  let deps: TestService['started']['deps'];
  beforeEach(async () => {
    service = await startService(backend, { web: false, worker: false });
    deps = service.started.deps;
  });
  afterEach(() => service.stop());

  const queue = () => deps.queues.all.find(({ name }) => name === HOUSEKEEPING_QUEUE)!;
  const schedule = (now = Date.now()) => scheduleHousekeeping(deps, now);
  async function work() {
    const heartbeat = openHeartbeatDeps(deps);
    try {
      const days = { runRetentionDays: 30, sessionRetentionDays: 90, auditRetentionDays: 365 };
      const given = { ...deps, heartbeat, ...days };
      await housekeepingJob.run(given, {}, new AbortController().signal);
    } finally {
      await heartbeat.close();
    }
  }

  /** `count` runs of this kind and status, with ids of the time; accepted and (where it is so) finished so long ago. */
  async function addRuns(kind: string, status: string, daysAgo: number, count: number) {
    await putAgent(deps.db, 'builder', {});
    await sql`
      INSERT INTO runs (id, agent_id, agent_name, kind, status, queued_at, finished_at)
      SELECT
        (lpad(to_hex((extract(epoch FROM now() - make_interval(days => ${daysAgo})) * 1000)::bigint),
          12, '0') || substr(replace(gen_random_uuid()::text, '-', ''), 13))::uuid, agents.id, agents.name, ${kind}, ${status},
        now() - make_interval(days => ${daysAgo}),
        CASE WHEN ${status} IN ('queued', 'running') THEN NULL
          ELSE now() - make_interval(days => ${daysAgo}) END
      FROM agents, generate_series(1, ${count}::int)`.execute(deps.db);
  }

  /** A session, its token and a checkpoint, all of them made and ended so long ago; or as `more` says. */
  async function addSession(daysAgo: number, more: Record<string, unknown> = {}) {
    await putAgent(deps.db, 'builder', {});
    const at = new Date(Date.now() - daysAgo * 24 * 3600 * 1000);
    const hex = at.getTime().toString(16).padStart(12, '0');
    const id = `${hex.slice(0, 8)}-${hex.slice(8)}${newId().slice(13)}`;
    const agent = await deps.db.selectFrom('agents').select('id').executeTakeFirstOrThrow();
    const row = { id, agent_id: agent.id, agent_name: 'builder', root_id: id, objective: 'x' };
    const ended = { status: 'failed' as const, ended_at: at };
    const times = { lease_seconds: 60, start_seconds: 60, checkpoint_branch: 'b' };
    await deps.db
      .insertInto('sessions')
      .values({ ...row, ...times, ...ended, ...more })
      .execute();
    await sql`
      INSERT INTO tokens (id, hash, scope, agent_id, session_id)
      VALUES (${id}, ${Buffer.from(id)}, 'session', ${agent.id}, ${id})`.execute(deps.db);
    await sql`
      INSERT INTO checkpoints (id, session_id, number, run_id, trigger, durability, pruned_at)
      VALUES (${id}, ${id}, 1, ${id}, 'turn', 'local', now())`.execute(deps.db);
    return id;
  }

  it('deletes sessions long ended with all that is theirs, and nothing that is needed', async () => {
    const live = { status: 'running' as const, ended_at: null };
    await addSession(91);
    await addSession(91, { needs_attention: true });
    const kept = [
      await addSession(89),
      await addSession(91, live),
      await addSession(91, { prune_at: new Date() }),
      await addSession(91, { local_commit: 'a'.repeat(40) }),
    ];
    const root = await addSession(91);
    kept.push(root, await addSession(1, { ...live, root_id: root }));
    const bundled = await addSession(91);
    const chunks = (async function* () {
      yield Buffer.from('x');
    })();
    await insertBundle(deps.db, { id: newId(), sessionId: bundled, chunks, prerequisites: [] });
    const worked = await addSession(91);
    await sql`
      INSERT INTO runs (id, agent_id, agent_name, kind, session_id)
      SELECT ${newId()}, agent_id, agent_name, 'prune', id FROM sessions
      WHERE id = ${worked}`.execute(deps.db);
    await sql`
      INSERT INTO checkpoints (id, session_id, number, run_id, trigger, durability, bundle_id)
      SELECT ${newId()}, ${bundled}, 2, ${newId()}, 'turn', 'stored', id FROM bundles`.execute(
      deps.db,
    );
    kept.push(bundled, worked);
    await work();
    const left = async (table: 'sessions' | 'checkpoints') =>
      (await deps.db.selectFrom(table).select('id').execute()).map(({ id }) => id);
    expect((await left('sessions')).toSorted()).toEqual(kept.toSorted());
    expect(await left('checkpoints')).toHaveLength(kept.length + 1);
    // Of the tokens, those of sessions that live or ended less than a month ago.
    const tokens = await deps.db.selectFrom('tokens').select('session_id').execute();
    const alive = await deps.db.selectFrom('sessions').select('id').where('ended_at', 'is', null);
    expect(tokens.map(({ session_id: id }) => id).toSorted()).toEqual(
      (await alive.execute()).map(({ id }) => id).toSorted(),
    );
  });

  async function sessionOf(agentName: string) {
    await putAgent(deps.db, agentName, {});
    return await startSession(deps.db, deps.sessionSettings, { agentName, objective: 'work' });
  }

  const counts = async () => {
    const rows = await deps.db.selectFrom('runs').select(['kind', 'status']).execute();
    const tally: Record<string, number> = {};
    for (const { kind, status } of rows) {
      tally[`${kind} ${status}`] = (tally[`${kind} ${status}`] ?? 0) + 1;
    }
    return tally;
  };

  it('deletes finished runs past their retention, all of them, and nothing else', async () => {
    await addRuns('heartbeat', 'ok', 31, 2500);
    await addRuns('heartbeat', 'error', 31, 10);
    await addRuns('heartbeat', 'warning', 29, 3);
    await addRuns('heartbeat', 'queued', 400, 4);
    await addRuns('heartbeat', 'running', 400, 5);
    await addRuns('checkpoint', 'ok', 400, 6);
    await addRuns('resume', 'ok', 29, 2);
    await addRuns('prune', 'queued', 400, 1);
    await sql`
      INSERT INTO run_steps SELECT id, 1, 'load agent', 'ok', 1 FROM runs`.execute(deps.db);
    await work();
    expect(await counts()).toEqual({
      'heartbeat warning': 3,
      'heartbeat queued': 4,
      'heartbeat running': 5,
      'resume ok': 2,
      'prune queued': 1,
    });
    expect(await deps.db.selectFrom('run_steps').select('name').execute()).toHaveLength(15);
  });

  it('deletes bundles that no checkpoint has, once no work can need them', async () => {
    const { session } = await sessionOf('builder');
    const { session: other } = await sessionOf('other');
    await addRuns('checkpoint', 'queued', 0, 1);
    await sql`UPDATE runs SET session_id = ${other.id}`.execute(deps.db);
    const add = async (sessionId: string, age: string) => {
      const id = newId();
      async function* chunks() {
        yield Buffer.from('x');
      }
      await insertBundle(deps.db, { id, sessionId, prerequisites: [], chunks: chunks() });
      await sql`UPDATE bundles SET created_at = now() - ${age}::interval WHERE id = ${id}`.execute(
        deps.db,
      );
      return id;
    };
    const old = await add(session.id, '2 hours');
    const [young, needed] = [await add(session.id, '1 minute'), await add(other.id, '2 hours')];
    await work();
    const left = await deps.db.selectFrom('bundles').select('id').orderBy('id').execute();
    expect(left.map(({ id }) => id)).toEqual([young, needed].toSorted());
    expect(left.map(({ id }) => id)).not.toContain(old);
  });

  it('deletes no more than a batch in one statement, the oldest first', async () => {
    await addRuns('heartbeat', 'ok', 40, 3);
    await addRuns('heartbeat', 'error', 60, 3);
    const acceptedBefore = new Date(Date.now() - 30 * 24 * 3600 * 1000);
    const batch = { acceptedBefore, limit: 4 };
    expect(await purgeRuns(deps.db, batch)).toBe(4);
    expect(await counts()).toEqual({ 'heartbeat ok': 2 });
    expect(await purgeRuns(deps.db, batch)).toBe(2);
    expect(await purgeRuns(deps.db, batch)).toBe(0);
  });

  /** `count` claims made and, as far as given, released and settled so many days ago. */
  async function addClaims(
    source: string,
    count: number,
    days: { claimed: number; released?: number; settled?: number },
  ) {
    const ago = (given: number | undefined) =>
      sql`CASE WHEN ${given ?? -1}::int >= 0 THEN now() - make_interval(days => ${given ?? 0}) END`;
    await sql`
      WITH claim AS (
        SELECT n, (lpad(to_hex((extract(epoch FROM ${ago(days.claimed)}) * 1000)::bigint), 12, '0')
          || substr(replace(gen_random_uuid()::text, '-', ''), 13))::uuid AS id
        FROM generate_series(1, ${count}::int) AS n
      ), repo AS (
        INSERT INTO repos (id, owner, name) VALUES (${newId()}, 'acme', ${source}) RETURNING id
      ), issue AS (
        INSERT INTO issues (id, repo_id, number, url, title, state, labels, label_keys, upstream_updated_at)
        SELECT claim.id, repo.id, n, ${source} || n, 'An issue', 'open', '{}', '{}', now()
        FROM claim, repo RETURNING id
      )
      INSERT INTO issue_claims (id, issue_id, agent_id, source, claimed_at, released_at,
        release_reason, labels_settled_at)
      SELECT issue.id, issue.id, agents.id, 'label', ${ago(days.claimed)}, ${ago(days.released)},
        CASE WHEN ${days.released ?? -1}::int >= 0 THEN ${source} END, ${ago(days.settled)}
      FROM issue, agents`.execute(deps.db);
  }

  it('deletes released claims past their retention, and none that is still looked after', async () => {
    await putAgent(deps.db, 'builder', {});
    await addClaims('old', 1500, { claimed: 40, released: 31, settled: 31 });
    await addClaims('open', 2, { claimed: 400 });
    await addClaims('unsettled', 3, { claimed: 400, released: 390 });
    await addClaims('released late', 4, { claimed: 400, released: 29, settled: 29 });
    await addClaims('settled late', 5, { claimed: 400, released: 390, settled: 1 });
    await work();
    const left = await deps.db.selectFrom('issue_claims').select('release_reason').execute();
    const tally = Object.groupBy(left, ({ release_reason }) => release_reason ?? 'open');
    expect(Object.entries(tally).map(([kind, claims]) => [kind, claims?.length])).toEqual(
      expect.arrayContaining([
        // Its agent tracks the repository no more, so it ends now.
        ['repo_untracked', 2],
        ['unsettled', 3],
        ['released late', 4],
        ['settled late', 5],
      ]),
    );
    expect(left).toHaveLength(14);
  });

  it('deletes no more claims than a batch in one statement', async () => {
    await putAgent(deps.db, 'builder', {});
    await addClaims('old', 5, { claimed: 40, released: 31, settled: 31 });
    const batch = { releasedBefore: new Date(Date.now() - 30 * 24 * 3600 * 1000), limit: 4 };
    expect(await purgeClaims(deps.db, batch)).toBe(4);
    expect(await purgeClaims(deps.db, batch)).toBe(1);
  });

  it.runIf(backend === 'postgres')(
    'removes finished jobs from the queue after a while',
    async () => {
      const worker = deps.queues.backend.openWorker(
        HOUSEKEEPING_QUEUE,
        async ({ data }) => {
          if (data.fails) throw new Error('failed');
        },
        { concurrency: 1 },
      );
      for (let index = 0; index < 6; index += 1) {
        await queue().add('job', { fails: index % 2 === 0 }, { jobId: `job-${index}` });
      }
      const finished = async () => {
        const { completed, failed } = await queue().getJobCounts('completed', 'failed');
        return (completed ?? 0) + (failed ?? 0);
      };
      await until('the jobs are finished', async () => (await finished()) === 6);
      await worker.close();
      await queue().add('waiting', {});
      await work();
      expect(await finished()).toBe(6);

      await sql`UPDATE bullmq.job SET finished_at_ms = finished_at_ms - 11 * 60000
      WHERE id IN ('job-0', 'job-1', 'job-2')`.execute(deps.db);
      await work();
      expect(await finished()).toBe(3);
      expect(await queue().getWaitingCount()).toBe(1);
    },
  );

  it('is scheduled once, however many processes see to it at the same time', async () => {
    const others = await Promise.all(
      [1, 2, 3].map(() =>
        startService(backend, {
          web: false,
          worker: false,
          database: service.database,
          env: service.env,
        }),
      ),
    );
    const all = [service, ...others].map(({ started }) => started.deps);
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(
        all.flatMap((each) => [1, 2].map(() => scheduleHousekeeping(each, Date.now()))),
      );
    }
    expect(await queue().getJobSchedulersCount()).toBe(1);
    const jobs = await queue().getJobs(['delayed', 'waiting', 'active']);
    expect(jobs).toHaveLength(1);
    await Promise.all(others.map((other) => other.stop()));
  });

  it('leaves a schedule alone that runs, and sets one again that stands still', async () => {
    await schedule();
    const written = async () => (await queue().getJobs(['delayed', 'waiting']))[0]!.timestamp;
    const first = await written();
    await until('time has passed', () => Date.now() > first + 5);
    await schedule();
    expect(await written()).toBe(first);

    await schedule(Date.now() + 10 * 60_000);
    expect(await written()).toBeGreaterThan(first);
    expect(await queue().getJobSchedulersCount()).toBe(1);
  });

  it('is scheduled again after it was removed', async () => {
    await schedule();
    await queue().removeJobScheduler('housekeeping');
    expect(await queue().getJobSchedulersCount()).toBe(0);
    await schedule();
    expect(await queue().getJobSchedulersCount()).toBe(1);
  });
});

it.skipIf(!canStartRedis())('is scheduled again after Redis lost everything', async () => {
  const redis = await flushableRedis();
  const service = await startService('redis', {
    web: false,
    env: { REDIS_URL: redis.url },
    timings: { claimSeconds: 20, renewMs: 5000, sweepMs: 100 },
  });
  try {
    const queue = service.started.deps.queues.all.find(({ name }) => name === HOUSEKEEPING_QUEUE)!;
    const scheduled = async () => (await queue.getJobSchedulersCount()) === 1;
    await until('it is scheduled', scheduled);
    await redis.flush();
    await until('it is scheduled again', scheduled);
    const jobs = () => queue.getJobs(['delayed', 'waiting', 'active']);
    await until('its job is there', async () => (await jobs()).length > 0);
  } finally {
    await service.stop();
    await redis.stop();
  }
});
