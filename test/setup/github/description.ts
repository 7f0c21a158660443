import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/**
 * GitHub's official description of the operations that we use, as checks: for what a client
 * sends, and for what our fake answers. A check returns what is wrong, an empty list if nothing.
 */
type Schema = Record<string, unknown>;
type Parameter = { name: string; in: string; required?: boolean; schema: Schema };
type Content = { content?: { 'application/json'?: { schema: Schema } } };
type Operation = {
  parameters: (Parameter | Ref)[];
  requestBody?: Content;
  responses: Record<string, Content | Ref>;
};
type Ref = { $ref: string };
type Components = Record<string, Record<string, Schema>>;

const file = join(import.meta.dirname, '../../fixtures/github/openapi.json');
// Zod reads the definitions of a JSON schema; the description keeps them under another name.
const text = readFileSync(file, 'utf8').replaceAll('#/components/schemas/', '#/definitions/');
const { paths, components } = JSON.parse(text) as {
  paths: Record<string, Record<string, Operation>>;
  components: Components;
};

function resolve<T extends object>(value: T | Ref): T {
  if (!('$ref' in value)) return value;
  const [, , kind = '', name = ''] = value.$ref.split('/');
  return components[kind]?.[name] as T;
}

const compiled = new Map<Schema, z.ZodType>();

function problems(schema: Schema, value: unknown, where: string): string[] {
  let check = compiled.get(schema);
  if (!check) {
    const whole = { ...schema, definitions: components['schemas'] } as Parameters<
      typeof z.fromJSONSchema
    >[0];
    check = z.fromJSONSchema(whole, { defaultTarget: 'openapi-3.0' });
    compiled.set(schema, check);
  }
  const result = check.safeParse(value);
  if (result.success) return [];
  return result.error.issues.map((i) => `${where} ${i.path.join('.')}: ${i.message}`);
}

type Found = { operation: Operation; path: Record<string, string> };

function find(method: string, pathname: string): Found | undefined {
  // GitHub serves every repository under its number too: redirects and page links go there.
  const asked = pathname.replace(/^\/repositories\/(\d+)/, '/repos/by-number/$1').split('/');
  for (const [template, methods] of Object.entries(paths)) {
    const operation = methods[method.toLowerCase()];
    const parts = template.split('/');
    if (!operation || parts.length !== asked.length) continue;
    const path: Record<string, string> = {};
    const fits = parts.every((part, index) => {
      const given = asked[index] ?? '';
      if (!part.startsWith('{')) return part === given;
      path[part.slice(1, -1)] = decodeURIComponent(given);
      return given !== '';
    });
    if (fits) return { operation, path };
  }
  return undefined;
}

function parameterProblems({ operation, path }: Found, query: URLSearchParams): string[] {
  const declared = operation.parameters.map((parameter) => resolve(parameter));
  const known = new Set(declared.filter((p) => p.in === 'query').map((p) => p.name));
  const unknown = [...query.keys()].filter((name) => !known.has(name));
  return [
    ...unknown.map((name) => `query ${name}: not in the description`),
    ...declared.flatMap((parameter) => {
      const given = parameter.in === 'query' ? query.get(parameter.name) : path[parameter.name];
      if (given === null || given === undefined) {
        return parameter.required ? [`${parameter.in} ${parameter.name}: missing`] : [];
      }
      const numeric = parameter.schema['type'] === 'integer';
      const value = numeric ? Number(given) : given;
      return problems(parameter.schema, value, `${parameter.in} ${parameter.name}`);
    }),
  ];
}

export function checkRequest(method: string, url: URL, body: unknown): string[] {
  const found = find(method, url.pathname);
  if (!found) return [`${method} ${url.pathname}: not in the description`];
  const schema = found.operation.requestBody?.content?.['application/json']?.schema;
  if (body !== undefined && !schema) return ['body: the operation takes none'];
  return [
    ...parameterProblems(found, url.searchParams),
    ...(schema && body !== undefined ? problems(schema, body, 'body') : []),
  ];
}

export function checkAnswer(
  method: string,
  pathname: string,
  status: number,
  body: unknown,
): string[] {
  const found = find(method, pathname);
  if (!found) return [];
  const { responses } = found.operation;
  // The description lists 301 alone; recorded answers show 307 to whatever is not a GET.
  const declared = responses[status === 307 ? 301 : status];
  if (declared) {
    const schema = resolve(declared).content?.['application/json']?.schema;
    return schema ? problems(schema, body, `answer ${status}`) : [];
  }
  // Refusals that any operation may answer with, such as 401 and 429, are not listed with each.
  if (status < 400) return [`answer ${status}: not in the description`];
  return problems({ $ref: '#/definitions/basic-error' }, body, `answer ${status}`);
}
