/**
 * The fake GitHub as a process of its own, for benchmarks and for trying things by hand:
 *
 *   node test/setup/github/main.ts --port 4800 --repos 20 --issues 50
 *
 * Repositories are called acme/repo-1, acme/repo-2, … `GET /_requests` tells how many requests it
 * has answered.
 */
import { parseArgs } from 'node:util';
import { startFakeGitHub } from './fake.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '4800' },
    repos: { type: 'string', default: '1' },
    issues: { type: 'string', default: '10' },
  },
});
const fake = await startFakeGitHub({ port: Number(values.port), checked: false });
for (let index = 1; index <= Number(values.repos); index += 1) {
  fake.repo(`acme/repo-${index}`, { issues: Number(values.issues) });
}
console.log(`fake GitHub on ${fake.url}`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void fake.close());
