import { isAbsolute } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig } from '../src/config.ts';

/** The message for this environment; fails if it is accepted. */
function refusal(env: Record<string, string>): string {
  try {
    loadConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error(`accepted: ${JSON.stringify(env)}`);
}

const database = { DATABASE_URL: 'postgres://u:p@127.0.0.1/defib' };

describe('loadConfig', () => {
  it('needs nothing', () => {
    const config = loadConfig({});
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 4700,
      databaseUrl: undefined,
      redisUrl: undefined,
      operatorToken: undefined,
      rateLimitPerMinute: 6000,
      github: { apiUrl: 'https://api.github.com', auth: { kind: 'none' } },
    });
    expect(isAbsolute(config.dataDir)).toBe(true);
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('reads what is set', () => {
    const config = loadConfig({
      ...database,
      PORT: '0',
      REDIS_URL: 'rediss://cache:6380/1',
      DEFIB_DRAIN_SECONDS: '7',
      GITHUB_API_URL: 'https://github.example/api/v3/',
    });
    expect(config).toMatchObject({
      port: 0,
      databaseUrl: database.DATABASE_URL,
      redisUrl: 'rediss://cache:6380/1',
      drainMs: 7000,
      github: { apiUrl: 'https://github.example/api/v3' },
    });
  });

  it('takes an empty variable as one that is not set', () => {
    const empty = Object.fromEntries(
      ['PORT', 'HOST', 'DATABASE_URL', 'REDIS_URL', 'DEFIB_OPERATOR_TOKEN', 'GITHUB_TOKEN'].map(
        (name) => [name, ''],
      ),
    );
    expect(loadConfig(empty)).toEqual(loadConfig({}));
  });

  it('lists every mistake in one error, each under its name', () => {
    const message = refusal({
      PORT: '65536',
      DEFIB_LOG_LEVEL: 'loud',
      DEFIB_OPERATOR_TOKEN: 'short',
      REDIS_URL: 'redis://127.0.0.1',
      GITHUB_APP_ID: '17',
    });
    expect(message).toContain('5 mistake(s)');
    const lines = message.split('\n').filter((line) => line.startsWith('  - '));
    expect(lines).toEqual([
      '  - PORT must be at most 65535',
      expect.stringMatching(/^ {2}- DEFIB_LOG_LEVEL .*"info"/),
      '  - DEFIB_OPERATOR_TOKEN must have at least 16 characters',
      expect.stringMatching(/^ {2}- REDIS_URL needs DATABASE_URL/),
      expect.stringContaining('GITHUB_APP_PRIVATE_KEY, GITHUB_APP_INSTALLATION_ID'),
    ]);
    expect(message).toContain('.env.example');
  });

  it.each([
    ['PORT', 'abc'],
    ['PORT', '-1'],
    ['PORT', '80.5'],
    ['PORT', ' 80'],
    ['PORT', '0x50'],
    ['DEFIB_DATABASE_POOL', '1'],
    ['DEFIB_DATABASE_POOLER', 'session'],
    ['DEFIB_MAX_QUEUED', '0'],
    ['DEFIB_RATE_LIMIT_PER_MINUTE', '1e3'],
    ['DEFIB_RATE_LIMIT_PER_MINUTE', 'off'],
    ['DEFIB_DRAIN_SECONDS', '301'],
    ['DEFIB_QUEUE_PREFIX', 'a:b'],
    ['DEFIB_PUBLIC_URL', 'defib.example'],
    ['DATABASE_URL', 'mysql://127.0.0.1/defib'],
    ['DATABASE_URL', 'not a url'],
    ['REDIS_URL', 'http://127.0.0.1'],
    ['GITHUB_APP_ID', 'my-app'],
  ])('never replaces a bad value: %s=%s', (name, value) => {
    const lines = refusal({ ...database, [name]: value }).split('\n');
    expect(lines.filter((line) => line.startsWith(`  - ${name} must be `))).toHaveLength(1);
  });

  it('takes a pooler in transaction mode only where the queues need no connection of their own', () => {
    const pooler = { ...database, DEFIB_DATABASE_POOLER: 'transaction' };
    expect(refusal(pooler)).toContain('DEFIB_DATABASE_POOLER=transaction needs REDIS_URL');
    expect(loadConfig({ ...pooler, REDIS_URL: 'redis://127.0.0.1' }).databasePooler).toBe(
      'transaction',
    );
  });

  it('never repeats a value, which may be a secret', () => {
    const message = refusal({
      DATABASE_URL: 'mysql://user:hunter2secret@db/defib',
      REDIS_URL: 'http://:hunter2secret@redis',
      DEFIB_OPERATOR_TOKEN: 'hunter2secret',
    });
    expect(message).not.toContain('hunter2');
  });

  it('takes one way of signing in to GitHub, not two or a half', () => {
    const app = {
      GITHUB_APP_ID: '1',
      GITHUB_APP_PRIVATE_KEY: String.raw`-----BEGIN\nKEY-----`,
      GITHUB_APP_INSTALLATION_ID: '2',
    };
    expect(loadConfig(app).github.auth).toEqual({
      kind: 'app',
      appId: '1',
      privateKey: '-----BEGIN\nKEY-----',
      installationId: '2',
    });
    expect(loadConfig({ GITHUB_TOKEN: 't' }).github.auth).toEqual({ kind: 'token', token: 't' });
    expect(refusal({ ...app, GITHUB_TOKEN: 't' })).toContain('not both');
    expect(refusal({ GITHUB_APP_ID: '1' })).toContain('missing: GITHUB_APP_PRIVATE_KEY');
  });
});
