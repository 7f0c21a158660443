import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { adapterOf } from '../adapters/adapter.ts';
import { type Agent, type AgentEvent, AGENTS, isFields } from '../adapters/event.ts';
import { putEvent } from '../adapters/spool.ts';
import { DEFIB } from './frame/self.ts';
import { logProblem } from './hook-log.ts';
import { claimPost } from './hook-throttle.ts';

/** More than that is no hook's input; the rest is read, so that the agent is not stuck, and dropped. */
const MAX_INPUT_BYTES = 32 * 1024 * 1024;

/**
 * `defib hook <agent>`: what an agent's hooks run. Reads one event from standard input and passes it
 * on: to the supervisor that is named in `DEFIB_SESSION_DIR`, or else, with `DEFIB_URL`,
 * `DEFIB_SESSION_ID` and `DEFIB_SESSION_TOKEN`, as a checkpoint to the server. Outside of a session it
 * does nothing.
 *
 * It never breaks an agent: it prints nothing, always gives 0, and puts what goes wrong into a log.
 * It never slows one: it loads one adapter, captures nothing, and waits for nobody.
 */
export async function main([agent, flag]: string[]): Promise<number> {
  const { env } = process;
  try {
    if (!isAgent(agent)) throw new Error(`There is no adapter for the agent "${agent ?? ''}".`);
    const input = await readInput(process.stdin);
    if (flag === POST) {
      const { postCheckpoint } = await import('./hook-post.ts');
      await postCheckpoint(input as AgentEvent, env);
    } else {
      await passOn(agent, input, env);
    }
  } catch (error) {
    logProblem(env, error);
  }
  return 0;
}

/** How a hook calls itself again, to post in the background. */
const POST = '--post';

const isAgent = (name: string | undefined): name is Agent => AGENTS.some((agent) => agent === name);

async function readInput(stdin: AsyncIterable<Buffer>): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    size += chunk.length;
    if (size <= MAX_INPUT_BYTES) chunks.push(chunk);
  }
  if (size > MAX_INPUT_BYTES) throw new Error(`A hook's input of ${size} bytes is too large.`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

async function passOn(agent: Agent, input: unknown, env: NodeJS.ProcessEnv): Promise<void> {
  const { DEFIB_SESSION_DIR: dir, DEFIB_URL: url, DEFIB_SESSION_ID: session } = env;
  if (!dir && !(url && session && env['DEFIB_SESSION_TOKEN'])) return;
  if (!isFields(input)) throw new Error('A hook needs a JSON object on its standard input.');
  const adapter = await adapterOf(agent);
  const event = adapter.event(input);
  if (!event) return;
  const full: AgentEvent = { agent, at: new Date().toISOString(), ...event };
  if (dir) putEvent(dir, full);
  else if (isWorthPosting(full) && claimPost(env, full)) await post(full, env);
}

/** Files may just have changed, or the agent is done. */
const isWorthPosting = ({ kind, mutating }: AgentEvent) =>
  kind === 'stop' || (kind === 'tool-end' && mutating);

/** Starts a process that outlives this one, and hands it the event. */
async function post(event: AgentEvent, env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(process.execPath, [DEFIB, 'hook', event.agent, POST], {
    detached: true,
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await once(child, 'spawn');
  child.stdin.end(JSON.stringify(event));
  await once(child.stdin, 'finish');
  child.unref();
}
