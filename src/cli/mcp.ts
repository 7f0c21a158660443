import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { createMcpServer } from '../mcp/server.ts';
import { keptSession, onlySession } from '../mcp/sessions.ts';
import type { Caller } from '../mcp/tool.ts';
import { CliError } from './frame/errors.ts';
import { note } from './frame/output.ts';
import { clientFor, findToken, serviceUrl } from './frame/service.ts';

export function define(command: Command): void {
  command
    .description(
      'Serves the Model Context Protocol on standard input and output, for an agent whose settings\n' +
        'name it: heartbeat, checkpoint, continuation and finish for a session, and with the token of\n' +
        'an agent also start_session and claim.',
    )
    .option('--agent <name>', 'whose token it is, where it is no session’s; default: DEFIB_AGENT')
    .addHelpText(
      'after',
      `
Examples:
  claude mcp add defib -- defib mcp
  defib run -- claude --mcp-config mcp.json   its session is found by itself
  DEFIB_TOKEN=$(defib token issue --agent builder) defib mcp --agent builder

With DEFIB_SESSION_ID and DEFIB_SESSION_TOKEN it works in that session; else it acts for the agent
whose token is in DEFIB_TOKEN. docs/agents.md has the settings of each agent.`,
    )
    .action(serve);
}

type Options = { agent?: string };

async function serve({ agent }: Options): Promise<void> {
  const caller = await callerOf(process.env, agent);
  // Standard output is the protocol's alone. It ends, and the process with it, when its input does.
  serveStdio(() => createMcpServer(caller), { onerror: caller.onError });
}

/**
 * Whom the environment says that the tools are for: one session, or an agent.
 *
 * @throws CliError `no_token`, `no_agent` or `invalid_url`
 */
async function callerOf(env: NodeJS.ProcessEnv, name: string | undefined): Promise<Caller> {
  const url = serviceUrl();
  const common = {
    api: (token: string) => clientFor(url, token),
    place: placeOf(env),
    onError: (error: unknown) => note(`defib mcp: ${String(error)}`),
  };
  const { DEFIB_SESSION_ID: id, DEFIB_SESSION_TOKEN: sessionToken } = env;
  if (id && sessionToken) {
    return { ...common, agent: undefined, sessions: onlySession({ id, token: sessionToken }) };
  }
  const token = await findToken(url);
  if (token === undefined) {
    throw new CliError(
      'no_token',
      'There is neither a session nor the token of an agent.',
      'Start the agent by "defib run", or set DEFIB_TOKEN to what "defib token issue --agent <name>" prints.',
    );
  }
  const agentName = name ?? env['DEFIB_AGENT'];
  if (!agentName) {
    throw new CliError('no_agent', 'Whose token is it?', 'Add --agent <name>, or set DEFIB_AGENT.');
  }
  return { ...common, agent: { name: agentName, token }, sessions: keptSession() };
}

/** Agents start their servers in the folder that they work in. */
function placeOf(env: NodeJS.ProcessEnv): Caller['place'] {
  const host = env['DEFIB_HOSTNAME'] || hostname();
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) return { host, worktree: folder };
    if (folder === dirname(folder)) return { host };
  }
}
