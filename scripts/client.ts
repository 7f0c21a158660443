import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { start } from '../src/start.ts';
import { withScratchDatabase } from './scratch-database.ts';

/**
 * Writes `src/client/api.ts`: the types of the API, made by openapi-typescript from the
 * document that the service itself gives. With `--check` it only compares, and fails when the file is out of date.
 */
const FILE = join(import.meta.dirname, '../src/client/api.ts');
// A workspace of its own: the generator needs TypeScript 5 beside it.
const GENERATOR = join(import.meta.dirname, 'client/node_modules/openapi-typescript/bin/cli.js');

const fresh = await withScratchDatabase({ queues: true }, async (databaseUrl) =>
  prettified(await typesOf(await documentOf(databaseUrl))),
);
if (!process.argv.includes('--check')) {
  await writeFile(FILE, fresh);
} else if ((await readFile(FILE, 'utf8').catch(() => '')) !== fresh) {
  console.error('src/client/api.ts is out of date. Run: npm run client');
  process.exitCode = 1;
}

/** The document of a service, as JSON. */
async function documentOf(databaseUrl: string): Promise<string> {
  const service = await start({
    config: loadConfig({ DATABASE_URL: databaseUrl, PORT: '0' }),
    log: createLog({ level: 'silent', service: 'client' }),
    databaseUrl,
    web: true,
    worker: false,
  });
  try {
    return await (await fetch(`${service.http?.url}/openapi.json`)).text();
  } finally {
    await service.stop();
  }
}

async function typesOf(document: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'defib-client-'));
  try {
    const [input, output] = [join(folder, 'openapi.json'), join(folder, 'api.ts')];
    await writeFile(input, document);
    await promisify(execFile)(process.execPath, [GENERATOR, input, '--output', output]);
    return await readFile(output, 'utf8');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function prettified(source: string): Promise<string> {
  const header = '// Made by `npm run client` from the OpenAPI document. Do not edit.\n';
  return format(header + source, { ...(await resolveConfig(FILE)), filepath: FILE });
}
