import {
  type CallToolResult,
  McpServer,
  type StandardSchemaWithJSON,
} from '@modelcontextprotocol/server';
import type { z } from 'zod';
import { DefibError } from '../client/index.ts';
import { version } from '../version.ts';
import { errorResult, toProblem } from './errors.ts';
import { instructions } from './instructions.ts';
import type { Call, Caller, Tool } from './tool.ts';
import { checkpoint } from './tools/checkpoint.ts';
import { claim } from './tools/claim.ts';
import { continuation } from './tools/continuation.ts';
import { finish } from './tools/finish.ts';
import { heartbeat } from './tools/heartbeat.ts';
import { startSession } from './tools/start-session.ts';

const VERSION = version();

/** Claude Code hides the tools of servers behind a search, where no model thinks of a heartbeat. */
const ALWAYS_LOADED = { 'anthropic/alwaysLoad': true };

/** The tools of Defib for one caller, whatever transport they are reached by. */
export function createMcpServer(caller: Caller): McpServer {
  const server = new McpServer(
    { name: 'defib', title: 'Defib', version: VERSION },
    { instructions: instructions(caller), capabilities: { tools: { listChanged: false } } },
  );
  if (caller.agent) {
    add(server, caller, startSession(caller));
    add(server, caller, claim(caller));
  }
  add(server, caller, heartbeat(caller));
  add(server, caller, checkpoint(caller));
  add(server, caller, continuation(caller));
  add(server, caller, finish(caller));
  return server;
}

function add<In, Out extends Record<string, unknown>>(
  server: McpServer,
  caller: Caller,
  tool: Tool<In, Out>,
): void {
  const { name, title, description, annotations, input, output } = tool;
  server.registerTool(
    name,
    {
      title,
      description,
      annotations,
      inputSchema: unchecked(input),
      outputSchema: output,
      _meta: ALWAYS_LOADED,
    },
    (args, { mcpReq: { signal } }) => call(tool, args, { caller, signal }),
  );
}

/** The schema as it is shown; arguments are checked by us, so that a refusal has a code like any other. */
const unchecked = (schema: z.ZodType): StandardSchemaWithJSON => ({
  '~standard': { ...schema['~standard'], validate: (value) => ({ value }) },
});

async function call<In, Out extends Record<string, unknown>>(
  tool: Tool<In, Out>,
  args: unknown,
  context: Call,
): Promise<CallToolResult> {
  const { signal } = context;
  const { onError, sessions } = context.caller;
  try {
    // A service that is newer than this may answer with more than the listed schema allows.
    const data = tool.output.parse(await tool.run(parse(tool.input, args), context));
    return { content: [{ type: 'text', text: tool.text(data) }], structuredContent: data };
  } catch (error) {
    // A call that was given up fails by that alone.
    if (!(error instanceof DefibError) && !signal.aborted) onError(error);
    const problem = toProblem(error);
    if (OVER.has(problem.code)) sessions.ended();
    return errorResult(problem);
  }
}

const OVER = new Set(['session_ended', 'session_superseded']);

function parse<In>(schema: z.ZodType<In>, args: unknown): In {
  const { data, error } = schema.safeParse(args ?? {});
  if (!error) return data;
  const detail = error.issues
    .map(({ path, message }) => `${path.map(String).join('.') || 'arguments'}: ${message}`)
    .join('; ');
  throw new DefibError({ code: 'invalid', detail });
}
