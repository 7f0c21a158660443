import type { Command } from 'commander';
import {
  type Checkpoint,
  type Client,
  DefibError,
  type Run,
  type Session,
  type SessionWithAttempts,
  unwrap,
} from '../client/index.ts';
import { CliError } from './frame/errors.ts';
import { fields, type OutputOptions, print, table, time, withJson } from './frame/output.ts';
import { listUpTo } from './frame/pages.ts';
import { oneLine } from './frame/printable.ts';
import { openService } from './frame/service.ts';
import { sessionTable } from './sessions.ts';

export function define(command: Command): void {
  withJson(command)
    .description(
      'Shows a session with its checkpoints and the attempts at its work, or a run with its steps.',
    )
    .argument('<id>', 'id of a session or of a run')
    .addHelpText(
      'after',
      `
Examples:
  defib show 01920000-0000-7000-8000-000000000000
  defib show 01920000-0000-7000-8000-000000000000 --json | jq .attempts`,
    )
    .action(show);
}

async function show(id: string, options: OutputOptions): Promise<void> {
  const { client } = await openService();
  const session = await unlessMissing(sessionOf(client, id));
  if (session) return print(await withCheckpoints(client, session), options, describeSession);
  const run = await unlessMissing(
    unwrap(client.GET('/api/runs/{id}', { params: { path: { id } } })),
  );
  if (run) return print(run, options, describeRun);
  throw new CliError(
    'not_found',
    `No session and no run has the id ${id}.`,
    '"defib sessions" and "defib logs" list them.',
  );
}

type Shown = SessionWithAttempts & { checkpoints: Checkpoint[] };

async function withCheckpoints(client: Client, session: SessionWithAttempts): Promise<Shown> {
  const path = { id: session.id };
  const page = await listUpTo(Infinity, (query) =>
    unwrap(client.GET('/api/sessions/{id}/checkpoints', { params: { path, query } })),
  );
  return { ...session, checkpoints: page.items };
}

const sessionOf = (client: Client, id: string): Promise<SessionWithAttempts> =>
  unwrap(client.GET('/api/sessions/{id}', { params: { path: { id } } }));

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof DefibError && error.code === 'not_found') return undefined;
    throw error;
  }
}

function describeSession({ attempts, checkpoints, ...one }: Shown): string {
  return [
    fields({
      session: one.id,
      agent: one.agentName,
      status: one.needsAttention ? `${one.status}, needs attention` : one.status,
      'end reason': one.endReason,
      cause: one.cause,
      'waits for': waitOf(one),
      result: one.result && describeResult(one.result),
      attempt: `${one.attempt} of ${attempts.length}`,
      objective: one.objective,
      summary: one.summary,
      repository: one.repo,
      issue: one.issueUrl,
      branch: one.branch,
      'checkpoint branch': one.latestCheckpointId === null ? null : one.checkpointBranch,
      'latest checkpoint': one.latestCheckpointId,
      worktree: one.worktree,
      host: one.host,
      turn: one.turn,
      started: one.startedAt && time(one.startedAt),
      'lease until': one.endedAt === null ? one.leaseExpiresAt && time(one.leaseExpiresAt) : null,
      deadline: one.deadlineAt && time(one.deadlineAt),
      ended: one.endedAt && time(one.endedAt),
    }),
    `Attempts:\n${sessionTable(attempts)}`,
    ...(checkpoints.length > 0 ? [`Checkpoints:\n${checkpointTable(checkpoints)}`] : []),
  ].join('\n\n');
}

const waitOf = ({ waitingFor, waitingUntil }: Session): string | null =>
  waitingFor && `${waitingFor}${waitingUntil === null ? '' : `, until ${time(waitingUntil)}`}`;

function describeResult(result: NonNullable<Session['result']>): string {
  const { state, head, branch, host, worktree, keptUntil } = result;
  if (state === 'none') return 'none';
  return [
    state,
    `${branch ?? 'HEAD'} at ${head?.slice(0, 12) ?? 'no commit'}`,
    ...(worktree === null ? [] : [`in ${worktree} on ${host ?? 'its host'}`]),
    ...(keptUntil === null ? [] : [`kept until ${time(keptUntil)}: "defib bring" gets it`]),
  ].join(', ');
}

export const checkpointTable = (checkpoints: Checkpoint[]): string =>
  table(
    ['NUMBER', 'ID', 'SAVED', 'TRIGGER', 'DURABILITY', 'FILES', 'COMMIT', 'NEXT STEP'],
    checkpoints.map((checkpoint) => [
      checkpoint.number,
      checkpoint.id,
      time(checkpoint.createdAt),
      checkpoint.trigger,
      describeDurability(checkpoint),
      checkpoint.filesChanged,
      checkpoint.commit?.slice(0, 12),
      checkpoint.reasoning?.nextStep,
    ]),
  );

function describeDurability({ durability, late, prunedAt, notCaptured }: Checkpoint): string {
  const more = [
    ...(late ? ['late'] : []),
    ...(notCaptured.length > 0 ? [`without ${notCaptured.length} files`] : []),
    ...(prunedAt === null ? [] : ['pruned']),
  ];
  return [durability, ...more].join(', ');
}

function describeRun(run: Run): string {
  const lists = {
    Warnings: run.warnings,
    Errors: run.errors,
    'Touched issues': run.touchedIssueUrls,
  };
  return [
    fields({
      run: run.id,
      agent: run.agentName,
      kind: run.kind,
      status: run.status,
      summary: run.summary,
      session: run.sessionId,
      queued: time(run.queuedAt),
      started: run.startedAt && time(run.startedAt),
      finished: run.finishedAt && time(run.finishedAt),
      directives: run.directives
        .map(({ type, sessionId, reason }) => `${type} ${sessionId}: ${reason}`)
        .join('; '),
    }),
    ...(run.steps.length > 0
      ? [
          table(
            ['STEP', 'STATUS', 'MS'],
            run.steps.map(({ name, status, durationMs }) => [name, status, durationMs]),
          ),
        ]
      : []),
    ...Object.entries(lists)
      .filter(([, items]) => items.length > 0)
      .map(([name, items]) =>
        [`${name}:`, ...items.map((item) => `  ${oneLine(item)}`)].join('\n'),
      ),
  ].join('\n\n');
}
