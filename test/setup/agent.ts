/*
 * A coding agent as far as the service sees one. It is started with its session in the environment, notes
 * its pid in `agent.pid` and its prompt in `agent.md`, and beats until a file `finish` is there; then it
 * ends its session.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const {
  DEFIB_URL,
  DEFIB_SESSION_ID,
  DEFIB_SESSION_TOKEN = '',
  DEFIB_PROMPT_FILE = '',
} = process.env;

async function post(verb: string, body: object): Promise<number> {
  const answer = await fetch(`${DEFIB_URL}/api/sessions/${DEFIB_SESSION_ID}/${verb}`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${DEFIB_SESSION_TOKEN}`,
      'Content-Type': 'application/json',
    },
    body: JSON.stringify(body),
  });
  return answer.status;
}

writeFileSync('agent.md', readFileSync(DEFIB_PROMPT_FILE));
writeFileSync('agent.pid', String(process.pid));
while (!existsSync('finish')) {
  if ((await post('heartbeat', { note: 'at work' })) !== 200) process.exit(2);
  await pause(50);
}
await post('finish', { outcome: 'completed' });
