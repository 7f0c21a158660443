/**
 * Takes the recorded answers of GitHub that our tests use out of `@octokit/fixtures`, without the
 * headers that say nothing. Install that package in a scratch folder and name it here.
 *
 *   node scripts/github-recorded-answers.ts <folder of @octokit/fixtures>
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

type Recorded = {
  method: string;
  path: string;
  body: unknown;
  status: number;
  headers: Record<string, string>;
  response: unknown;
};

const SCENARIOS = [
  'paginate-issues',
  'add-labels-to-issue',
  'rename-repository',
  'get-repository',
  'errors',
];
const HEADERS = /^(content-type|date|etag|link|location|x-ratelimit-.*)$/;

const folder = process.argv[2];
if (folder === undefined)
  throw new Error('name the folder of the unpacked @octokit/fixtures package');
const read = async (file: string) => JSON.parse(await readFile(join(folder, file), 'utf8'));

async function answers(scenario: string) {
  const recorded: Recorded[] = await read(
    `scenarios/api.github.com/${scenario}/normalized-fixture.json`,
  );
  return recorded.map(({ method, path, body, status, headers, response }) => ({
    method,
    path,
    body,
    status,
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => HEADERS.test(name))),
    response,
  }));
}

const { version } = await read('package.json');
const scenarios: Record<string, unknown> = {};
for (const scenario of SCENARIOS) scenarios[scenario] = await answers(scenario);
const result = { source: `@octokit/fixtures ${version}`, license: 'MIT', scenarios };
const target = join(import.meta.dirname, '../test/fixtures/github/recorded.json');
await writeFile(target, `${JSON.stringify(result, null, 1)}\n`);
console.log(`wrote ${SCENARIOS.length} scenarios of ${version}`);
