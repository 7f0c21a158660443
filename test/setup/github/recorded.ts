import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type RecordedAnswer = {
  method: string;
  path: string;
  body: unknown;
  status: number;
  headers: Record<string, string | number>;
  response: unknown;
};

const file = join(import.meta.dirname, '../../fixtures/github/recorded.json');
const { scenarios } = JSON.parse(readFileSync(file, 'utf8')) as {
  scenarios: Record<string, RecordedAnswer[]>;
};

/** The recorded answers of one scenario, in the order in which GitHub gave them. */
export function recorded(scenario: string): RecordedAnswer[] {
  const answers = scenarios[scenario];
  if (!answers) throw new Error(`no recorded scenario ${scenario}`);
  return answers;
}

/** The recorded body of one answer: the form that the fake gives its own. */
export function template(scenario: string, index: number): Record<string, unknown> {
  const response = recorded(scenario)[index]?.response;
  const body: unknown = Array.isArray(response) ? response[0] : response;
  if (typeof body !== 'object' || body === null) throw new Error(`no body in ${scenario} ${index}`);
  return { ...body };
}
