import type { AgentEvent } from '../adapters/event.ts';
import { readReasoning } from '../adapters/reasoning.ts';

const DEADLINE_MS = 30_000;

/**
 * Saves where the agent stands as a checkpoint, over HTTP. For sessions without a supervisor.
 *
 * @throws when the transcript cannot be read or the server does not take the checkpoint
 */
export async function postCheckpoint(event: AgentEvent, env: NodeJS.ProcessEnv): Promise<void> {
  const { agent, sessionRef, transcriptPath } = event;
  const reasoning = await readReasoning(agent, { sessionRef, transcriptPath }, [event]);
  const base = (env['DEFIB_URL'] ?? '').replace(/\/+$/, '');
  const response = await fetch(`${base}/api/sessions/${env['DEFIB_SESSION_ID']}/checkpoints`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${env['DEFIB_SESSION_TOKEN']}`,
      'Content-Type': 'application/json',
    },
    body: JSON.stringify({
      ...(reasoning && { reasoning }),
      trigger: event.kind === 'stop' ? 'stop' : 'tool',
    }),
    signal: AbortSignal.timeout(DEADLINE_MS),
  });
  if (response.ok) return;
  throw new Error(`The checkpoint was refused with ${response.status}: ${await response.text()}`);
}
