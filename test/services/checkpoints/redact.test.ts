import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Reasoning } from '../../../src/services/checkpoints/reasoning.ts';
import { REASONING_MAX_BYTES } from '../../../src/services/checkpoints/reasoning.ts';
import { redactReasoning, redactText } from '../../../src/services/checkpoints/redact.ts';
import { newTokenSecret } from '../../../src/services/tokens/secret.ts';

// Put together at run time, so that no scanner takes this file for a leak.
const GITHUB = ['ghp', 'wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx'].join('_');
const AWS = ['wJalrXUtnFEMI/K7MDENG', 'bPxRfiCYzzzzzzzKEY'].join('/');
const OPENAI = ['sk', 'proj', 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4'].join('-');
const JWT = ['eyJhbGciOiJIUzI1NiJ9', 'eyJzdWIiOiIxMjM0NTY3ODkwIn0', 'dozjgNryP4J3jVmN'].join('.');
const BODY = ['MIIEowIBAAKCAQEA7bq0', 'x'.repeat(64), 'y'.repeat(64), 'Zm9vYmFy='];
const KEY = ['-----BEGIN RSA PRIVATE KEY', ...BODY, 'END RSA PRIVATE KEY-----']
  .join('\n')
  .replace('KEY\n', 'KEY-----\n')
  .replace('\nEND', '\n-----END');

describe('a text', () => {
  it.each<[string, string, string]>([
    [`token ${GITHUB}, please`, 'token [redacted: github], please', GITHUB],
    [`use ${newTokenSecret('session')}.`, 'use [redacted: defib-token].', 'dfb_se'],
    [
      'Authorization: Bearer abcDEF.123-_~+/=',
      'Authorization: Bearer [redacted: authorization]',
      '',
    ],
    [
      'authorization: Basic dXNlcjpwYXNzd29yZA==',
      'authorization: Basic [redacted: authorization]',
      '',
    ],
    ['curl -H "X: bearer 0123456789"', 'curl -H "X: bearer [redacted: authorization]"', ''],
    ['Cookie: sid=a1; x=b2', 'Cookie: [redacted: cookie]', ''],
    ['password=S3cr3t! now', 'password=[redacted: credential] now', ''],
    ['DB_PASSWORD="letme in" x', 'DB_PASSWORD="[redacted: credential]" x', ''],
    ["api_key: 'q9w8e7r6'", "api_key: '[redacted: credential]'", ''],
    ['{"client_secret":"plain","a":1}', '{"client_secret":"[redacted: credential]","a":1}', ''],
    ['X-Api-Key: q9w8e7r6', 'X-Api-Key: [redacted: credential]', ''],
    ['login --db-password hunter2! -v', 'login --db-password [redacted: credential] -v', ''],
    ['curl -u joe:pa55 http://x', 'curl -u joe:[redacted: basic-auth] http://x', ''],
    ['see redis://u:p4ss@db:6379/0', 'see redis://[redacted: url]@db:6379/0', ''],
    ['git clone https://0123456789abcdefghij@h/x', 'git clone https://[redacted: url]@h/x', ''],
    [`key ${OPENAI}`, 'key [redacted: api-key]', OPENAI],
    [`jwt ${JWT} end`, 'jwt [redacted: jwt] end', JWT],
    [`${KEY}\nthat was it`, '[redacted: privatekey]\nthat was it', 'MIIE'],
    [`export AWS_SECRET_ACCESS_KEY=${AWS}`, 'export [redacted: aws]', AWS.slice(-6)],
  ])('%j is cleaned', async (text, clean) => {
    expect((await redactText(text)).text).toBe(clean);
  });

  it.each([
    'The password is asked for; password: string, token: Token, secret = readSecret(path).',
    'token=$TOKEN password=${PASSWORD} api_key=<your key> secret: ***',
    'const token = req.headers.authorization;',
    'The bearer authentication of http://localhost:5173/@fs/x is described below.',
    'commit 4428c76bd0f1a0c9d0f6a7f1c3a3a9d1b2c3d4e5 in /src/services/tokens/secret.ts:12',
    'task-list sk-learn "sk-toggleable-content-label" git@github.com:acme/app.git',
  ])('%j is left as it is', async (text) => {
    expect(await redactText(text)).toEqual({ text, redacted: [] });
  });

  it.each([
    ['cut off at its end', KEY.slice(0, 120)],
    ['cut off at its start', KEY.slice(60)],
    ['with Windows line ends', KEY.replaceAll('\n', '\r\n')],
    ['indented', KEY.replaceAll('\n', '\n    ')],
    ['in JSON', JSON.stringify({ key: KEY })],
    ['in JSON in JSON', JSON.stringify(JSON.stringify({ key: KEY }))],
  ])('hides a private key %s', async (_how, text) => {
    const { text: clean, redacted } = await redactText(`before ${text} after`);
    expect(redacted).toHaveLength(1);
    for (const line of BODY) expect(clean).not.toContain(line.slice(0, 12));
    expect(clean).toMatch(/^before .*after$/s);
  });

  it('hides what escapes of JSON disguise', async () => {
    const disguised = JSON.stringify(JSON.stringify({ a: `\n${GITHUB}\n` })).replaceAll(
      'ghp',
      '\\u0067hp',
    );
    for (const text of [`\\n${GITHUB}`, disguised, 'https:\\/\\/u:p4ss@host\\/']) {
      const { text: clean, redacted } = await redactText(text);
      expect(redacted, text).toHaveLength(1);
      expect(clean).not.toMatch(/UcnZ|p4ss/);
    }
  });

  it('is the same when it is cleaned again', async () => {
    const text = `password="a b c d" password=q1w2e3 ${GITHUB} https://u:p1@h Authorization: Bearer ${JWT}
      Cookie: a=b\n curl -u a:b1 --token q1w2e3r4 AWS_SECRET_ACCESS_KEY=${AWS}\n${KEY}`;
    const once = await redactText(text);
    expect(await redactText(once.text)).toEqual({ text: once.text, redacted: [] });
  });
});

describe('a reasoning state', () => {
  it('has no secret left in any of its strings, and says where they were', async () => {
    const planted: Reasoning = {
      objective: `Rotate ${GITHUB}`,
      approach: 'As planned',
      decisions: [{ what: 'x', why: `because of ${GITHUB}` }],
      done: ['step 1', `password=q1w2e3`],
      pendingToolCalls: [
        {
          tool: 'Bash',
          startedAt: '2026-11-21T10:00:00Z',
          input: {
            command: `curl -H 'Authorization: Bearer 0a1b2c3d4e'`,
            env: { apiKey: 'plain words', DEBUG: 'true', PASSWORD: '$PASSWORD' },
            argv: ['login', '--token', 'q1w2e3r4', '-v'],
            [GITHUB]: { n: 1 },
          },
        },
      ],
      transcriptTail: JSON.stringify({ role: 'user', content: `\n${GITHUB}` }),
    };
    const { reasoning, redacted } = await redactReasoning(planted);
    expect(reasoning).toEqual({
      objective: 'Rotate [redacted: github]',
      approach: 'As planned',
      decisions: [{ what: 'x', why: 'because of [redacted: github]' }],
      done: ['step 1', 'password=[redacted: credential]'],
      pendingToolCalls: [
        {
          tool: 'Bash',
          startedAt: '2026-11-21T10:00:00Z',
          input: {
            command: `curl -H 'Authorization: Bearer [redacted: authorization]'`,
            env: { apiKey: '[redacted: credential]', DEBUG: 'true', PASSWORD: '$PASSWORD' },
            argv: ['login', '--token', '[redacted: credential]', '-v'],
            '[redacted: github]': { n: 1 },
          },
        },
      ],
      transcriptTail: '{"role":"user","content":"\\n[redacted: github]"}',
    });
    expect(redacted).toEqual([
      { path: 'objective', rule: 'github' },
      { path: 'decisions.0.why', rule: 'github' },
      { path: 'done.1', rule: 'credential' },
      { path: 'pendingToolCalls.0.input.command', rule: 'authorization' },
      { path: 'pendingToolCalls.0.input.env.apiKey', rule: 'credential' },
      { path: 'pendingToolCalls.0.input.argv.2', rule: 'credential' },
      { path: 'pendingToolCalls.0.input', rule: 'github' },
      { path: 'transcriptTail', rule: 'github' },
    ]);
    expect(JSON.stringify(redacted)).not.toContain(GITHUB);
  });

  it('has no private key left that is kept as a list of lines', async () => {
    const lines = ['echo', ...KEY.split('\n'), 'the end'];
    const { reasoning } = await redactReasoning({ done: lines, remaining: ['next'] });
    const cutOff = { done: KEY.split('\n').slice(0, 3), remaining: ['continueWithTheNextOne'] };
    expect((await redactReasoning(cutOff)).reasoning.remaining).toEqual(cutOff.remaining);
    expect(reasoning.done?.at(0)).toBe('echo');
    expect(reasoning.done?.slice(1, -1)).toEqual(
      KEY.split('\n').map(() => '[redacted: privatekey]'),
    );
    expect(reasoning.done?.at(-1)).toBe('the end');
    expect(reasoning.remaining).toEqual(['next']);
  });

  it('keeps all else, wherever a secret is planted', async () => {
    const input = fc.jsonValue({ maxDepth: 4 });
    const prose = fc.string({ unit: 'grapheme', maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(input, prose, prose, async (json, before, after) => {
        const planted: Reasoning = {
          done: [before, `${before} ${GITHUB} ${after}`],
          pendingToolCalls: [{ tool: 'T', input: { json, [`${GITHUB}`]: [{ deep: GITHUB }] } }],
        };
        const { reasoning } = await redactReasoning(planted);
        expect(JSON.stringify(reasoning)).not.toContain(GITHUB.slice(4, 20));
        const other: Reasoning = {
          done: [before, `${before} [redacted: github] ${after}`],
          pendingToolCalls: [
            { tool: 'T', input: { json, '[redacted: github]': [{ deep: '[redacted: github]' }] } },
          ],
        };
        expect(reasoning).toEqual((await redactReasoning(other)).reasoning);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    'a ',
    'a',
    '-----BEGIN RSA PRIVATE KEY-----\n',
    'aaaaaaaaaaaaaaaa\n',
    'password="',
    "token='x",
    'sk-',
    '://',
    '://a:',
    '\\',
    '\\"',
    'eyJaaaaaaaaa.',
    'authorization: ',
    '--token ',
    '-u a',
    'cookie:',
    '"',
    'mysql://',
    'secret_access_key',
    '@',
    'https://a:',
    '-----END PRIVATE KEY-----',
  ])('of the largest size is searched in time, if it is all %j', async (unit) => {
    const transcriptTail = unit.repeat(REASONING_MAX_BYTES / unit.length);
    const { reasoning } = await redactReasoning({ transcriptTail });
    expect(Object.keys(reasoning)).toEqual(['transcriptTail']);
  });

  it('is not mixed up with others that are searched at the same time', async () => {
    const texts = Array.from({ length: 20 }, (_, n) => `${n} ${GITHUB} ${n}`);
    const cleaned = await Promise.all(texts.map((text) => redactText(text)));
    expect(cleaned.map(({ text }) => text)).toEqual(
      texts.map((_, n) => `${n} [redacted: github] ${n}`),
    );
  });

  it('is not given back when the search was stopped; the next one is searched again', async () => {
    const planted = { nextStep: `use ${GITHUB}` };
    const [stopped, next] = await Promise.allSettled([
      redactReasoning(planted, { signal: AbortSignal.abort() }),
      redactReasoning({ done: ['first'], ...planted }),
    ]);
    expect(stopped).toMatchObject({
      status: 'rejected',
      reason: { code: 'unavailable', transient: true },
    });
    expect(next).toMatchObject({
      status: 'fulfilled',
      value: { reasoning: { done: ['first'], nextStep: 'use [redacted: github]' } },
    });
  });
});
