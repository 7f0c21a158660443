/*
 * An agent that nobody can talk out of its work: it and its child ignore SIGTERM, and try every write
 * that a session has, again and again. What was answered goes to `.git/<who>.log`.
 */
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

process.on('SIGTERM', () => undefined);
const [who = 'agent'] = process.argv.slice(2);
if (who === 'agent') spawn(process.execPath, [import.meta.filename, 'child'], { stdio: 'ignore' });

const { DEFIB_URL, DEFIB_SESSION_TOKEN } = process.env;
const bodies: Record<string, object> = {
  heartbeat: { note: `${who} is alive` },
  checkpoints: { trigger: 'turn', reasoning: { approach: `as ${who} wants` } },
  finish: { outcome: 'failed' },
  interrupt: { reason: `${who} wants` },
};
let refused = false;
for (;;) {
  for (const [verb, body] of Object.entries(bodies)) {
    if (!refused && verb !== 'heartbeat') continue;
    const answer = await fetch(`${DEFIB_URL}/${verb}`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${DEFIB_SESSION_TOKEN}`,
        'Content-Type': 'application/json',
      },
      body: JSON.stringify(body),
    });
    refused ||= answer.status === 409;
    appendFileSync(`.git/${who}.log`, `${verb} ${answer.status}\n`);
  }
  await pause(100);
}
