/**
 * Sources of the plugins for agents whose hooks are code. They send the neutral event to the same
 * command that other agents run, and do not wait for it.
 */

/** How the file begins: so it is known later as Defib's own. */
export const PLUGIN_MARK = '// Written by `defib init`; `defib init --undo` removes it.\n';

type Types = { event: string; nothing: string };

/** JavaScript, or TypeScript where the agent takes only that. */
const tell = (command: string, types: Types = { event: '', nothing: '' }) => `
const COMMAND = ${JSON.stringify(command)};
const inSession = process.env.DEFIB_SESSION_DIR || process.env.DEFIB_SESSION_ID;

// Commands run side by side: the time, never twice the same, keeps their events in order.
let last = 0;
const now = () => new Date((last = Math.max(Date.now(), last + 1))).toISOString();

// Whatever goes wrong here must neither break nor hold up the agent.
const tell = (event${types.event})${types.nothing} => {
  const child = spawn(COMMAND, { shell: true, stdio: ['pipe', 'ignore', 'ignore'] });
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify({ ...event, at: now() }));
  child.unref();
};
`;

export const openCodePlugin = (
  command: string,
) => `${PLUGIN_MARK}import { spawn } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
${tell(command)}
const data = process.env.XDG_DATA_HOME ?? join(homedir(), '.local', 'share');
const transcriptPath = process.env.OPENCODE_DB ?? join(data, 'opencode', 'opencode.db');

export const Defib = async ({ directory: cwd }) => {
  if (!inSession) return {};
  // A subagent has a session of its own; what it does is its parent's doing, and its end but a turn.
  const parents = new Map();
  const send = (kind, id, call) => {
    const isRoot = !parents.has(id);
    let sessionRef = id;
    while (parents.has(sessionRef)) sessionRef = parents.get(sessionRef);
    tell({ kind: kind === 'stop' && !isRoot ? 'turn' : kind, sessionRef, cwd, transcriptPath, ...call });
  };
  const onEvent = {
    'session.created': ({ info: { id, parentID } }) => parentID && parents.set(id, parentID),
    'session.idle': ({ sessionID }) => send('stop', sessionID),
    'message.part.updated': ({ part: { type, sessionID, tool, callID: callId, state } }) => {
      if (type === 'step-finish') send('turn', sessionID);
      if (type === 'tool' && state.status === 'error') {
        send('tool-end', sessionID, { tool, callId, input: state.input });
      }
    },
  };
  return {
    event: async ({ event }) => onEvent[event.type]?.(event.properties),
    'tool.execute.before': async ({ tool, sessionID, callID: callId }, { args: input }) =>
      send('tool-start', sessionID, { tool, callId, input }),
    'tool.execute.after': async ({ tool, sessionID, callID: callId, args: input }) =>
      send('tool-end', sessionID, { tool, callId, input }),
  };
};
`;

export const piExtension = (
  command: string,
) => `${PLUGIN_MARK}import { spawn } from 'node:child_process';
${tell(command, { event: ': object', nothing: ': void' })}
export default function defib(pi: any) {
  if (!inSession) return;
  const on = (name: string, kind: string, callOf = (_event: any): object => ({})) =>
    pi.on(name, async (event: any, { cwd, sessionManager }: any) => {
      const sessionRef = sessionManager.getSessionId();
      const transcriptPath = sessionManager.getSessionFile();
      tell({ kind, sessionRef, cwd, transcriptPath, ...callOf(event) });
    });
  on('tool_call', 'tool-start', ({ toolName: tool, toolCallId: callId, input }) => ({
    tool,
    callId,
    input,
  }));
  on('tool_execution_end', 'tool-end', ({ toolName: tool, toolCallId: callId }) => ({
    tool,
    callId,
  }));
  on('turn_end', 'turn');
  on('agent_end', 'stop');
}
`;
