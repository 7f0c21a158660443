/** `npm run package`: how large the package is, and how long `defib` takes to start beside `node -e 0`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installPackage } from '../package/install.ts';
import { sizeOf, sizesToMarkdown } from '../package/size.ts';
import { measureStarts, startsToMarkdown } from '../package/starts.ts';
import { interruptSignal } from './interrupt.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
});
const signal = interruptSignal();
const folder = await mkdtemp(join(tmpdir(), 'defib-bench-package-'));
try {
  const installed = await installPackage(folder, signal);
  const sizes = await sizeOf(installed);
  const starts = await measureStarts(installed, {
    rounds: values.quick ? 5 : 40,
    scratch: folder,
    signal,
  });
  process.stdout.write(`${sizesToMarkdown(sizes)}\n\n${startsToMarkdown(starts)}\n`);
  if (values.json) await writeFile(values.json, JSON.stringify({ sizes, starts }, null, 2));
} finally {
  await rm(folder, { recursive: true, force: true });
}
