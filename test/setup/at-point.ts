import { subscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';

/*
 * Loaded by NODE_OPTIONS before a program under test: sends it a signal at a point of its way, whatever
 * the machine does meanwhile. Points are what Node tells of itself:
 *
 *     starts <program>             a process is about to be started
 *     started <program> <args>     it runs
 *     asks <METHOD> <path>         a request is about to be sent
 *     answered <METHOD> <path>     its answer is here, and not read yet
 */

const { TEST_POINT, TEST_SIGNAL } = process.env;
// Not for the processes that it starts.
for (const name of ['NODE_OPTIONS', 'TEST_POINT', 'TEST_SIGNAL']) delete process.env[name];

const wanted = new RegExp(TEST_POINT ?? '^never$');
let isSent = false;

function reach(point: string): void {
  if (isSent || !wanted.test(point)) return;
  isSent = true;
  writeSync(2, `at ${point}: ${TEST_SIGNAL}\n`);
  process.kill(process.pid, TEST_SIGNAL);
}

const onProcess = (name: string, tell: (child: ChildProcess) => void): void =>
  subscribe(name, (message) => tell((message as { process: ChildProcess }).process));
onProcess('tracing:child_process.spawn:start', ({ spawnfile }) => reach(`starts ${spawnfile}`));
onProcess('tracing:child_process.spawn:end', ({ spawnargs }) =>
  reach(`started ${spawnargs.join(' ')}`),
);

type Asked = { request: { method: string; path: string } };
const onRequest = (name: string, what: string): void =>
  subscribe(name, (message) => {
    const { method, path } = (message as Asked).request;
    reach(`${what} ${method} ${path}`);
  });
onRequest('undici:request:create', 'asks');
onRequest('undici:request:headers', 'answered');
