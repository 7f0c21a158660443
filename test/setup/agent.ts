/*
 * A coding agent as far as the service sees one. It is started with its session in the environment and
 * acts in its working directory, as its argument says:
 *
 *   work   beats, notes its pid in `agent.pid`, the prompt in `agent.md` and what it is told of where
 *          it is in `agent.pwd`, and goes on beating until a file `finish` is there; then it ends its
 *          session
 *   hang   notes its pid and never beats
 *   fickle keeps its token in `first.token` and its pid in `first.pid`, and ends at once; where that is there, it works
 *   late   the same, but instead of ending it waits and never beats
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

const [mode] = process.argv.slice(2);
if ((mode === 'fickle' || mode === 'late') && !existsSync('first.token')) {
  writeFileSync('first.token', DEFIB_SESSION_TOKEN);
  writeFileSync('first.pid', String(process.pid));
  if (mode === 'late') await pause(60_000);
  process.exit(1);
}
writeFileSync('agent.md', readFileSync(DEFIB_PROMPT_FILE));
writeFileSync('agent.pwd', process.env['PWD'] ?? '');
writeFileSync('agent.pid', String(process.pid));
if (mode === 'hang') await pause(60_000);
while (!existsSync('finish')) {
  if ((await post('heartbeat', { note: 'at work' })) !== 200) process.exit(2);
  await pause(50);
}
await post('finish', { outcome: 'completed' });
