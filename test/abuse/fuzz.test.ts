import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Json, startService, type TestService } from '../setup/service.ts';

/** `DEFIB_FUZZ_REQUESTS=4000 DEFIB_FUZZ_SEED=… npx vitest run test/abuse/fuzz.test.ts` for a long run, or the same again. */
const REQUESTS = Number(process.env['DEFIB_FUZZ_REQUESTS'] ?? 200);
const SEED = Number(process.env['DEFIB_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

let service: TestService;
let document: Json;
let tokens: string[];
let ids: string[];

beforeAll(async () => {
  service = await startService('postgres', { env: { DEFIB_RATE_LIMIT_PER_MINUTE: '0' } });
  document = (await service.call('GET', '/openapi.json', { token: null })).body;
  const agent = await service.agentToken('builder');
  const { body } = await service.call('POST', '/api/agents/builder/sessions', {
    token: agent,
    body: { objective: 'x' },
  });
  tokens = [service.env['DEFIB_OPERATOR_TOKEN']!, agent, body.token];
  ids = [body.session.id, '01920000-0000-7000-8000-000000000000'];
});
afterAll(() => service.stop());

const nasty = fc.constantFrom(
  '',
  ' ',
  '\0',
  '\ud800',
  '../../etc/passwd',
  "' OR 1=1 --",
  '%00',
  '__proto__',
  'constructor',
  '-rf',
  '🙂'.repeat(50),
  'x'.repeat(5000),
  '1e999',
  '0',
  'null',
);
const text = fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 40 }));

const resolve = (schema: Json): Json =>
  schema?.$ref ? resolve(document.components.schemas[schema.$ref.split('/').at(-1)]) : schema;

/** What a schema asks for, and now and then something else. */
function from(given: Json, depth = 0): fc.Arbitrary<unknown> {
  const schema = resolve(given) ?? {};
  const right = depth > 6 ? fc.jsonValue({ maxDepth: 1 }) : rightOf(schema, depth);
  return fc.oneof(
    { arbitrary: right, weight: 9 },
    { arbitrary: fc.jsonValue({ maxDepth: 2 }), weight: 1 },
  );
}

function rightOf(schema: Json, depth: number): fc.Arbitrary<unknown> {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map((one: Json) => from(one, depth + 1)));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'object': {
      const fields = Object.entries<Json>(schema.properties ?? {}).map(
        ([name, field]) => [name, from(field, depth + 1)] as const,
      );
      const requiredKeys = (schema.required ?? []) as never[];
      const record = fc.record(Object.fromEntries(fields), { requiredKeys });
      const more = fc.dictionary(text, fc.jsonValue({ maxDepth: 1 }), { maxKeys: 2 });
      return fc
        .tuple(record, fc.oneof({ arbitrary: fc.constant({}), weight: 4 }, more))
        .map((parts) => Object.assign({}, ...parts) as object);
    }
    case 'array':
      return fc.array(from(schema.items, depth + 1), { maxLength: 4 });
    case 'integer':
    case 'number':
      return fc.oneof(fc.integer({ min: -1, max: 100 }), fc.double());
    case 'boolean':
      return fc.boolean();
    case 'string':
      return fc.oneof(
        fc.constantFrom(
          ...ids,
          'builder',
          'acme/app',
          'https://a.example/1',
          '2999-01-01T00:00:00Z',
        ),
        text,
      );
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

type Operation = { method: string; path: string; operation: Json };

function requestOf({ method, path, operation }: Operation) {
  const schema = operation.requestBody?.content?.['application/json']?.schema;
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
  const known: Record<string, string[]> = {
    id: ids,
    agentName: ['builder', 'nobody'],
    owner: ['acme'],
    name: ['app'],
  };
  const value = (name: string) =>
    fc.oneof({ arbitrary: fc.constantFrom(...(known[name] ?? ['x'])), weight: 3 }, text);
  const queries = (operation.parameters ?? [])
    .filter((parameter: Json) => parameter.in === 'query')
    .map((parameter: Json) => [parameter.name, fc.oneof(text, from(parameter.schema))]);
  return fc.record({
    method: fc.constant(method.toUpperCase()),
    path: fc.constant(path),
    values: fc.tuple(...names.map(value)),
    query: fc.record(Object.fromEntries(queries), { requiredKeys: [] }),
    token: fc.constantFrom(...tokens, null),
    key: fc.option(
      fc.string({ minLength: 1, maxLength: 20 }).filter((key) => /^[!-~]+$/.test(key)),
    ),
    body: schema ? fc.option(from(schema), { freq: 20 }) : fc.constant(null),
  });
}

const wellFormed = (part: string) => encodeURIComponent(part.toWellFormed());

it('no request makes the service fail', { timeout: 120_000 + REQUESTS * 100 }, async () => {
  console.log(`fuzz: DEFIB_FUZZ_SEED=${SEED} DEFIB_FUZZ_REQUESTS=${REQUESTS}`);
  const operations = Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods)
      .filter(([, operation]) => operation.security !== undefined)
      .map(([method, operation]) => ({ method, path, operation })),
  );
  const request = fc.oneof(...operations.map(requestOf));
  const property = fc.asyncProperty(
    request,
    async ({ method, path, values, query, token, key, body }) => {
      let at = 0;
      const filled = path.replaceAll(/\{\w+\}/g, () => wellFormed(values[at++] ?? ''));
      const asked = Object.entries(query)
        .map(
          ([name, value]) =>
            `${name}=${wellFormed(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))}`,
        )
        .join('&');
      const answer = await service.call(method, `${filled}${asked && `?${asked}`}`, {
        token,
        headers: { Prefer: 'respond-async', ...(key && { 'Idempotency-Key': key }) },
        ...(body !== null && body !== undefined && { body: JSON.stringify(body) }),
      });
      expect(answer.status, answer.text).toBeLessThan(500);
      if (answer.status < 400) return;
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(answer.body).toMatchObject({ status: answer.status, code: expect.any(String) });
    },
  );
  await fc.assert(property, { seed: SEED, numRuns: REQUESTS });
});
