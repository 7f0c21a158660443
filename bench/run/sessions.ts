/** `npm run sessions`: what the timeout watch, a light beat and a resume cost. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startDefib } from '../servers/defib.ts';
import { startShared } from '../servers/shared.ts';
import { measureBeat } from '../sessions/beat.ts';
import { measureResume } from '../sessions/resume.ts';
import { measureWatch } from '../sessions/watch.ts';

const LIVE = [1_000, 100_000];

await using resources = new AsyncDisposableStack();
const { folder, postgres } = await startShared(resources);

console.log('Watch: one look while so many sessions live and so many are due\n');
console.log('| live | due | ms, median | rows of sessions read |\n| ---: | ---: | ---: | ---: |');
for (const row of await measureWatch(await postgres.createDatabase('watch'), LIVE)) {
  console.log(`| ${row.live} | ${row.due} | ${row.ms.toFixed(1)} | ${row.rowsRead} |`);
}

const databaseUrl = await postgres.createDatabase('sessions');
const work = join(folder, 'work');
await mkdir(work);
const server = await startDefib({
  workers: 0,
  workDir: folder,
  env: {
    DATABASE_URL: databaseUrl,
    DEFIB_WORKTREE_ROOTS: work,
    DEFIB_RATE_LIMIT_PER_MINUTE: '0',
  },
});
resources.defer(server.stop);
await fetch(`http://127.0.0.1:${server.port}/api/agents/bench`, {
  method: 'PUT',
  headers: { Authorization: `Bearer ${server.operatorToken}`, 'Content-Type': 'application/json' },
  body: '{}',
});

console.log('\nLight beat over HTTP, against a bare UPDATE\n');
console.log('| callers | beats/s | updates/s | share | beat p99 ms |');
console.log('| ---: | ---: | ---: | ---: | ---: |');
for (const callers of [1, 32]) {
  const { beat, update } = await measureBeat(server, databaseUrl, callers);
  const share = (beat.perSecond / update.perSecond).toFixed(2);
  const cells = [callers, beat.perSecond.toFixed(0), update.perSecond.toFixed(0), share];
  console.log(`| ${cells.join(' | ')} | ${beat.p99.toFixed(1)} |`);
}

const resume = await measureResume(server, databaseUrl, work);
console.log(
  `\nDeadline passed → successor has its prompt: median ${resume.median.toFixed(0)} ms, ` +
    `p90 ${resume.p90.toFixed(0)} ms (${resume.sessions} sessions, ${resume.files} files, ` +
    'PostgreSQL, one process, default settings)',
);
