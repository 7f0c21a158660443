import { sql } from 'kysely';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sweep, SWEEP_LIMITS } from '../../../src/jobs/sweep.ts';
import { putAgent } from '../../../src/services/agents/put.ts';
import { createAcceptHeartbeat } from '../../../src/services/heartbeat/accept.ts';
import { openHeartbeatDeps } from '../../../src/services/heartbeat/deps.ts';
import { runHeartbeat } from '../../../src/services/heartbeat/run.ts';
import { heartbeatSteps } from '../../../src/services/heartbeat/steps/index.ts';
import { type Claims, createClaims } from '../../../src/services/runs/claims.ts';
import { executeRun } from '../../../src/services/runs/execute.ts';
import { onServer } from '../../setup/database.ts';
import { startService, type TestService } from '../../setup/service.ts';
import { until } from '../../setup/until.ts';

let service: TestService;
let claims: Claims;
let heartbeat: ReturnType<typeof openHeartbeatDeps>;

beforeEach(async () => {
  service = await startService('postgres', { web: false, worker: false });
  const { config, db, log } = service.started.deps;
  heartbeat = openHeartbeatDeps({ config, db, log, instance: 'test' });
  claims = createClaims({
    db,
    holder: 'test',
    leaseSeconds: 20,
    renewMs: 5000,
    onError: () => undefined,
  });
  await putAgent(db, 'builder', {});
});
afterEach(async () => {
  claims.close();
  await heartbeat.close();
  await service.stop();
});

/** Ends the connection on which the agent is read, as a server does that goes down. */
const endWhoReadsTheAgent = () =>
  until('the agent is being read', async () => {
    const { rows } = await sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'
        AND query LIKE ${'%from "agents"%'}`.execute(heartbeat.db);
    return rows.length > 0;
  });

it('leaves a run to be repeated when the database goes away while its agent is loaded', async () => {
  const accept = createAcceptHeartbeat(heartbeat.db);
  const { runId } = await accept({ agentName: 'builder', input: {}, idempotencyKey: undefined });
  const claim = await claims.claim(runId);
  await onServer(service.database.url, async (client) => {
    await client.query('BEGIN');
    await client.query('LOCK TABLE agents IN ACCESS EXCLUSIVE MODE');
    const passed = runHeartbeat(heartbeat, heartbeatSteps, claim!.run, claim!.signal);
    passed.catch(() => undefined);
    await endWhoReadsTheAgent();
    await expect(passed).rejects.toThrow('terminating connection');
  });
  claim!.release();

  await sql`UPDATE runs SET claim_expires_at = now() - interval '1 s'`.execute(heartbeat.db);
  expect(await sweep(service.started.deps, SWEEP_LIMITS)).toMatchObject({ requeued: 1 });
  const again = await executeRun(
    { db: heartbeat.db, claims },
    runId,
    claim!.signal,
    (run, signal) => runHeartbeat(heartbeat, heartbeatSteps, run, signal),
  );
  expect(again).toMatchObject({ kind: 'finished', run: { status: 'ok' } });
});
