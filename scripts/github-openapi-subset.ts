/**
 * Cuts the operations that we use out of GitHub's official API description, so that the fake
 * GitHub of the tests can be held to it. The whole package unpacks to 400 MB, so it is no
 * dependency of ours: install `@octokit/openapi` in a scratch folder and name it here.
 *
 *   node scripts/github-openapi-subset.ts <folder of @octokit/openapi>
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Obj = { [key: string]: Json };

const OPERATIONS: [path: string, method: string][] = [
  ['/repos/{owner}/{repo}', 'get'],
  ['/repos/{owner}/{repo}/issues', 'get'],
  ['/repos/{owner}/{repo}/issues/{issue_number}', 'get'],
  ['/repos/{owner}/{repo}/issues/{issue_number}/labels', 'post'],
  ['/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}', 'delete'],
  ['/app/installations/{installation_id}/access_tokens', 'post'],
];

// Prose and samples: they check nothing and would be most of the file.
const PROSE = new Set(['description', 'summary', 'example', 'examples', 'title', 'externalDocs']);

const isObject = (value: Json | undefined): value is Obj =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A copy without prose. Inside `properties` every key is a name, so none is dropped there. */
function withoutProse(value: Json, keysAreNames = false): Json {
  if (Array.isArray(value)) return value.map((item) => withoutProse(item));
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(
    ([key]) => keysAreNames || (!PROSE.has(key) && !key.startsWith('x-')),
  );
  return Object.fromEntries(
    kept.map(([key, item]) => [key, withoutProse(item, key === 'properties')]),
  );
}

function refsIn(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap(refsIn);
  if (!isObject(value)) return [];
  const own = typeof value['$ref'] === 'string' ? [value['$ref']] : [];
  return [...own, ...Object.values(value).flatMap(refsIn)];
}

function at(root: Obj, path: string[]): Obj {
  let node: Json | undefined = root;
  for (const key of path) node = isObject(node) ? node[key] : undefined;
  if (!isObject(node)) throw new Error(`the description has no ${path.join(' ')}`);
  return node;
}

function subset(description: Obj, version: string): Obj {
  const paths: { [path: string]: Obj } = {};
  for (const [path, method] of OPERATIONS) {
    const operation = at(description, ['paths', path, method]);
    const used: Obj = {};
    for (const key of ['parameters', 'requestBody', 'responses']) {
      if (operation[key] !== undefined) used[key] = operation[key];
    }
    paths[path] = { ...paths[path], [method]: withoutProse(used) };
  }
  const components: { [kind: string]: Obj } = {};
  const queue = refsIn(paths);
  for (const ref of queue) {
    const [, , kind = '', name = ''] = ref.split('/');
    if (components[kind]?.[name] !== undefined) continue;
    const component = withoutProse(at(description, ['components', kind, name]));
    (components[kind] ??= {})[name] = component;
    queue.push(...refsIn(component));
  }
  const info = {
    title: 'GitHub REST API (subset)',
    version: `@octokit/openapi ${version}`,
    license: 'MIT',
  };
  return { openapi: description['openapi'] ?? null, info, paths, components };
}

const folder = process.argv[2];
if (folder === undefined)
  throw new Error('name the folder of the unpacked @octokit/openapi package');
const read = async (file: string) => JSON.parse(await readFile(join(folder, file), 'utf8'));
const { version } = await read('package.json');
const result = subset(await read('generated/api.github.com.json'), version);
const target = join(import.meta.dirname, '../test/fixtures/github/openapi.json');
await writeFile(target, `${JSON.stringify(result, null, 1)}\n`);
console.log(`wrote ${OPERATIONS.length} operations of ${version}`);
