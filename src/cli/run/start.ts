import { hostname } from 'node:os';
import { basename, dirname } from 'node:path';
import type { Takeover } from '../../contract/takeover.ts';
import { recipeOf } from '../../adapters/recipe.ts';
import {
  type Client,
  DefibError,
  type Session,
  type SessionWithAttempts,
  unwrap,
} from '../../client/index.ts';
import { CliError } from '../frame/errors.ts';
import { clientFor, openService, serviceUrl } from '../frame/service.ts';
import { createPatience } from '../logs/patience.ts';
import { sessionsFolder } from './places.ts';
import { branchOf, worktreeOf } from './worktree.ts';

export type StartOptions = {
  agent?: string;
  issue?: string;
  repo?: string;
  objective?: string;
  timeout?: number;
  session?: string;
  /** How a worker of this machine may go on: see {@link templateOf}. */
  template?: string[] | undefined;
};

export type Begun = {
  url: string;
  token: string;
  session: Session;
  /** The git worktree that is captured; null: none. */
  worktree: string | null;
  /** Set where the service knows another place. */
  moved: { host: string; worktree: string | null } | undefined;
};

type Tell = (text: string) => void;

/** Names this machine, as workers name theirs: one on the same machine saves what is left. */
export const hostOf = (env: NodeJS.ProcessEnv): string => env['DEFIB_HOSTNAME'] || hostname();

/**
 * Starts a session for a command here, or takes up the one that was started for it.
 *
 * @param ending nothing is asked for after it; what was asked for is waited for
 */
export async function begin(
  options: StartOptions,
  command: string[],
  env: NodeJS.ProcessEnv,
  tell: Tell,
  ending: AbortSignal,
): Promise<Begun> {
  const place = { host: hostOf(env), worktree: worktreeOf(process.cwd(), env) };
  if (place.worktree === null) tell('This is no git worktree: files are not saved.');
  if (options.session !== undefined) return await adopt(options.session, place, env, tell, ending);
  return await startNew(options, command, place, env, tell, ending);
}

type Place = { host: string; worktree: string | null };

async function adopt(
  id: string,
  place: Place,
  env: NodeJS.ProcessEnv,
  tell: Tell,
  ending: AbortSignal,
): Promise<Begun> {
  const { url, token, session } = await givenSession(id, env, tell, ending);
  const known = session.host === place.host && session.worktree === place.worktree;
  return { url, token, session, worktree: place.worktree, moved: known ? undefined : place };
}

export type GivenSession = { url: string; token: string; session: SessionWithAttempts };

/** The session that a spawner starts this for. The service has just asked for that, so it is waited for if it restarts. */
export async function givenSession(
  id: string,
  env: NodeJS.ProcessEnv,
  tell: Tell,
  ending: AbortSignal,
): Promise<GivenSession> {
  const token = env['DEFIB_SESSION_TOKEN'];
  if (!token) {
    throw new CliError(
      'no_token',
      '--session needs the token of that session.',
      'Set DEFIB_SESSION_TOKEN to what its start, or its claim, was answered with.',
    );
  }
  const url = serviceUrl();
  const client = clientFor(url, token);
  const patience = createPatience(tell, { forMs: ADOPT_MS });
  const session = await patience(() => {
    ending.throwIfAborted();
    return unwrap(client.GET('/api/sessions/{id}', { params: { path: { id } } }));
  });
  if (session.endedAt !== null) {
    throw new CliError('session_ended', `The session ${id} has ended (${session.endReason}).`);
  }
  return { url, token, session };
}

/** As long as a spawner gives an agent to make its first heartbeat, by default, and a margin. */
const ADOPT_MS = 90_000;

async function startNew(
  options: StartOptions,
  command: string[],
  place: Place,
  env: NodeJS.ProcessEnv,
  tell: Tell,
  ending: AbortSignal,
): Promise<Begun> {
  const { url, client } = await openService();
  const me = await whoAmI(client);
  const agentName =
    options.agent ?? env['DEFIB_AGENT'] ?? me?.agentName ?? basename(command[0] ?? '');
  const { host, worktree } = place;
  const takeover =
    me?.scope === 'operator' && options.template
      ? takeoverOf(options.template, host, env)
      : undefined;
  const branch = worktree === null ? undefined : await branchOf(worktree);
  const repo = options.repo ?? repoOf(options.issue);
  const body = {
    objective: await objectiveOf(options, command),
    host,
    ...(worktree !== null && { worktree }),
    ...(branch !== undefined && { branch }),
    ...(repo !== undefined && { repo }),
    ...(options.issue !== undefined && { issueUrl: options.issue }),
    ...(options.timeout !== undefined && { timeoutSeconds: options.timeout }),
    ...(takeover && { takeover }),
  };
  const start = () => {
    ending.throwIfAborted();
    return unwrap(
      client.POST('/api/agents/{agentName}/sessions', { params: { path: { agentName } }, body }),
    );
  };
  const started = await start().catch(async (error: unknown) => {
    if (!(error instanceof DefibError) || error.code !== 'not_found') throw error;
    await createAgent(client, agentName, error);
    tell(`There was no agent "${agentName}": it was created.`);
    return await start();
  });
  return { url, ...started, worktree, moved: undefined };
}

/** Whom the token stands for; undefined: a service that does not say. */
const whoAmI = (client: Client) =>
  unwrap(client.GET('/api/me', {})).catch((error: unknown) => {
    if (error instanceof DefibError && error.code === 'not_found') return undefined;
    throw error;
  });

/** What the service takes of a command, in words and in characters of each. */
const MAX_WORDS = 200;
const MAX_WORD = 32_768;

/** What a worker needs to go on as this process would. Undefined: it is too long to be recorded. */
function takeoverOf(command: string[], host: string, env: NodeJS.ProcessEnv): Takeover | undefined {
  const path = env['PATH'] ?? '';
  const fits = [...command, path].every((word) => word.length <= MAX_WORD);
  if (!fits || command.length > MAX_WORDS) return undefined;
  return { command, host, cwd: process.cwd(), stateDir: dirname(sessionsFolder(env)), path };
}

/** With an operator's token, as on one's own machine, the first run creates the agent. */
async function createAgent(client: Client, agentName: string, missing: DefibError): Promise<void> {
  const path = { agentName };
  await unwrap(client.PUT('/api/agents/{agentName}', { params: { path }, body: {} })).catch(
    (error: unknown) => {
      throw error instanceof DefibError && error.code === 'forbidden' ? missing : error;
    },
  );
}

/** Below what the service takes. */
const MAX_OBJECTIVE = 16_000;

/** The issue or what was said of the work, and what its user asks of the agent: later attempts begin with it. */
async function objectiveOf({ issue, objective }: StartOptions, command: string[]): Promise<string> {
  const work = objective ?? (issue === undefined ? undefined : `Work on ${issue}`);
  const asked = (await recipeOf(command, false))?.prompt ?? (work ? '' : command.join(' '));
  const said = asked.toWellFormed().replaceAll('\0', '');
  return [...(work ? [work] : []), ...(said === '' ? [] : [said])]
    .join('\n\n')
    .slice(0, MAX_OBJECTIVE)
    .toWellFormed();
}

const repoOf = (issue: string | undefined): string | undefined =>
  /^https?:\/\/[^/]+\/([^/]+\/[^/]+)\/issues\/\d+/.exec(issue ?? '')?.[1];
