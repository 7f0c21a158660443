import { createHttpClient } from '../contenders/http-client.ts';
import { runClosedLoop } from '../measure/closed-loop.ts';
import { startDefib } from '../servers/defib.ts';
import { startFakeGitHub } from '../servers/fake-github.ts';
import { createFleet } from './fleet.ts';
import { runPaced } from './paced.ts';

export type LevelOptions = {
  agents: number;
  repos: number;
  freshnessSeconds: number;
  /** How many freshness windows are measured. */
  windows: number;
  workers: number;
  workDir: string;
  interrupt: AbortSignal;
  env: Record<string, string>;
};

export type LevelFigures = {
  agents: number;
  /** Requests to GitHub until every agent had its first heartbeat. */
  firstRequests: number;
  heartbeats: number;
  perHeartbeat: number;
  perWindow: number;
  /** Heartbeats with a warning or an error. */
  notOk: number;
};

const CALLERS = 32;
/** So that even one agent alone meets nearly every window. */
const BEATS_PER_WINDOW = 2;

/** One fleet on a fresh Defib and a fresh fake GitHub, beating evenly through a few windows. */
export async function measureLevel(options: LevelOptions): Promise<LevelFigures> {
  await using started = new AsyncDisposableStack();
  const { agents, repos, freshnessSeconds, windows, workers, workDir, interrupt } = options;
  const github = await startFakeGitHub(repos);
  started.defer(github.stop);
  const env = {
    ...options.env,
    GITHUB_API_URL: github.url,
    DEFIB_SYNC_FRESHNESS_SECONDS: String(freshnessSeconds),
    // The fleet is set up with the one operator token, faster than operators do.
    DEFIB_RATE_LIMIT_PER_MINUTE: '0',
  };
  const defib = await startDefib({ workers, workDir, env });
  started.defer(defib.stop);
  const client = createHttpClient(defib.port, CALLERS);
  started.defer(client.close);
  const fleet = await createFleet(client, defib.operatorToken, agents, github.repos);

  await runClosedLoop({ callers: CALLERS, maxCalls: agents, maxMs: 120_000 }, 0, fleet.beat);
  const before = await github.requests();
  const windowMs = freshnessSeconds * 1_000;
  let notOk = 0;
  const pace = {
    everyMs: windowMs / (agents * BEATS_PER_WINDOW),
    forMs: windowMs * windows,
    callers: CALLERS,
    interrupt,
  };
  const { calls, elapsedMs } = await runPaced(pace, async (i) => {
    if (!(await fleet.beat(i))) notOk += 1;
  });
  const requests = (await github.requests()) - before;
  return {
    agents,
    firstRequests: before,
    heartbeats: calls,
    perHeartbeat: requests / calls,
    perWindow: (requests * windowMs) / elapsedMs,
    notOk,
  };
}
