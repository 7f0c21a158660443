import { hostname } from 'node:os';
import { type Client, type Status, unwrap } from '../../client/index.ts';
import { findProgram } from '../../program.ts';
import { listUpTo } from '../frame/pages.ts';
import { ago } from '../frame/relative-time.ts';
import { type Finding, ok, wrong } from './finding.ts';

/** Whoever claims by itself asks far more often than this. */
const UNCLAIMED_MS = 5 * 60_000;

/**
 * Whether work goes on: somebody works, nothing waits for nobody, and what is to be started is there. Only an operator
 * may ask; others learn what `/readyz` warns of.
 */
export async function workChecks(client: Client, warnings: string[]): Promise<Finding[]> {
  const { data: status } = await client.GET('/api/status', {});
  if (!status) {
    const fix = 'Ask the operator of the service: "defib status" shows more.';
    return warnings.map((warning) => wrong('work', warning, fix));
  }
  return [
    workersCheck(status),
    ...waitingCheck(status, Date.now()),
    ...attentionCheck(status),
    ...(await spawnerChecks(client, status)),
  ];
}

function workersCheck({ hosts }: Status): Finding {
  const live = hosts.filter((host) => host.live).map(({ host }) => host);
  if (live.length > 0) return ok('workers', `alive on ${live.join(', ')}`);
  const last = hosts[0];
  const seen = last ? `; the last was seen on ${last.host}, ${ago(last.lastSeenAt)}` : '';
  return wrong(
    'workers',
    `none is alive, so that what is accepted waits${seen}`,
    'Start the service with "defib up", or workers alone with "defib up --only worker".',
  );
}

function waitingCheck({ waiting }: Status, now: number): Finding[] {
  const isLong = (since: string) => now - Date.parse(since) > UNCLAIMED_MS;
  const long = waiting.filter(({ verb, since }) => verb !== null && isLong(since));
  const [oldest] = long;
  if (!oldest) return [];
  return [
    wrong(
      'waiting sessions',
      `${long.length} wait to be taken up, and nobody does: ${oldest.sessionId} of ${oldest.agentName} became ready ${ago(oldest.since)}`,
      `Take it up with "defib ${oldest.verb} ${oldest.sessionId}", or end it with "defib cancel"; a spawner in the policy of the agent has it started by itself.`,
    ),
  ];
}

function attentionCheck({ needsAttention }: Status): Finding[] {
  const [newest] = needsAttention;
  if (!newest) return [];
  return [
    wrong(
      'needs attention',
      `${needsAttention.length} sessions: ${newest.sessionId} of ${newest.agentName}, ${newest.reason}`,
      `"defib ${newest.verb} ${newest.sessionId}" goes on, "defib dismiss" leaves it; "defib status" lists all.`,
    ),
  ];
}

/** Of what workers of this host start. On another host, another PATH counts. */
async function spawnerChecks(client: Client, { hosts }: Status): Promise<Finding[]> {
  const own = process.env['DEFIB_HOSTNAME'] || hostname();
  if (!hosts.some(({ host, live }) => live && host === own)) return [];
  const { items } = await listUpTo(Infinity, (query) =>
    unwrap(client.GET('/api/agents', { params: { query } })),
  );
  const findings: Finding[] = [];
  for (const { name, paused, policy } of items) {
    const program = policy.spawner?.type === 'command' ? policy.spawner.command[0] : undefined;
    if (paused || program === undefined) continue;
    const state = await findProgram(program);
    if (state === 'found') continue;
    findings.push(
      wrong(
        `spawner of ${name}`,
        `"${program}" is ${state} on this host`,
        'Install it where the PATH of the workers finds it, or name it by its path in the policy of the agent.',
      ),
    );
  }
  return findings;
}
