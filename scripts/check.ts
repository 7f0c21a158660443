import { spawn } from 'node:child_process';

/** `npm run check`: everything that needs no tests, side by side, in seconds. */
const CHECKS: Record<string, string[]> = {
  types: ['tsc'],
  'lint and layering': ['oxlint', '--deny-warnings'],
  format: ['prettier', '--check', '--log-level', 'warn', '.'],
  client: ['node', 'scripts/client.ts', '--check'],
  schema: ['node', 'scripts/schema-dump.ts', '--check'],
};

type Outcome = { name: string; ok: boolean; output: string; seconds: number };

function run(name: string, [command = '', ...args]: string[]): Promise<Outcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const done = (ok: boolean) =>
      resolve({ name, ok, output, seconds: (performance.now() - started) / 1000 });
    child.on('error', (error) => {
      output += String(error);
      done(false);
    });
    child.on('close', (code) => done(code === 0));
  });
}

const outcomes = await Promise.all(
  Object.entries(CHECKS).map(async ([name, command]) => {
    const outcome = await run(name, command);
    console.log(`${outcome.ok ? 'ok  ' : 'FAIL'} ${name} (${outcome.seconds.toFixed(1)} s)`);
    return outcome;
  }),
);
for (const { name, output } of outcomes.filter(({ ok }) => !ok)) {
  console.error(`\n--- ${name}\n${output}`);
  process.exitCode = 1;
}
