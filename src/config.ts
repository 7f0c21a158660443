import { homedir, hostname } from 'node:os';
import { delimiter, isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import { withFiles } from './environment.ts';

/**
 * Reads the environment once. Every mistake is listed in one error; a bad value is never
 * silently replaced by a default. Names are part of the contract: see `.env.example`.
 */
export class ConfigError extends Error {
  constructor(problems: string[]) {
    super(
      `The configuration has ${problems.length} mistake(s):\n` +
        problems.map((problem) => `  - ${problem}`).join('\n') +
        '\nFix the environment (see .env.example) and start again.',
    );
    this.name = 'ConfigError';
  }
}

const integer = (min: number, max: number, fallback: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`))
    .default(fallback);

const url = (schemes: string[]) =>
  z.string().refine(
    (value) => {
      const parsed = URL.parse(value);
      return parsed !== null && schemes.includes(parsed.protocol.replace(':', ''));
    },
    { message: `must be a URL that begins with ${schemes.map((s) => `${s}://`).join(' or ')}` },
  );

const label = (fallback: string) => z.string().min(1).max(50).default(fallback);

const list = (separator: string) =>
  z.string().transform((text) =>
    text
      .split(separator)
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  );

const flag = z.enum(['true', 'false'], 'must be true or false').default('false');

const credentials = z.array(
  z.strictObject({
    host: z.string().min(1),
    username: z.string().min(1).optional(),
    password: z.string().min(1).optional(),
    sshCommand: z.string().min(1).optional(),
  }),
);

const json = <T extends z.ZodType>(schema: T, shape: string) =>
  z.string().transform((text, context): z.output<T> => {
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      context.addIssue({ code: 'custom', message: `must be JSON of the form ${shape}` });
      return z.NEVER;
    }
  });

const environment = z.object({
  NODE_ENV: z.string().default('production'),
  PORT: integer(0, 65_535, 4700),
  HOST: z.string().min(1).default('127.0.0.1'),
  DEFIB_PUBLIC_URL: url(['http', 'https']).optional(),
  DEFIB_ALLOWED_HOSTS: list(',').default([]),
  DEFIB_LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info'),
  DEFIB_DATA_DIR: z.string().min(1).default('.defib'),
  DATABASE_URL: url(['postgres', 'postgresql']).optional(),
  DEFIB_DATABASE_POOL: integer(2, 200, 10),
  DEFIB_DATABASE_POOLER: z
    .enum(['none', 'transaction'], 'must be none or transaction')
    .default('none'),
  REDIS_URL: url(['redis', 'rediss']).optional(),
  DEFIB_QUEUE_PREFIX: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'must be 1 to 63 lower-case letters, digits, - or _')
    .default('defib'),
  DEFIB_OPERATOR_TOKEN: z.string().min(16, 'must have at least 16 characters').optional(),
  DEFIB_WORKER_CONCURRENCY: integer(1, 256, 32),
  DEFIB_MAX_QUEUED: integer(1, 1_000_000, 5000),
  DEFIB_MAX_QUEUED_PER_AGENT: integer(1, 1_000_000, 1000),
  DEFIB_RATE_LIMIT_PER_MINUTE: integer(0, 10_000_000, 6000),
  DEFIB_DRAIN_SECONDS: integer(1, 300, 20),
  DEFIB_RUN_RETENTION_DAYS: integer(1, 3650, 30),
  DEFIB_SESSION_RETENTION_DAYS: integer(1, 3650, 90),
  DEFIB_AUDIT_RETENTION_DAYS: integer(1, 3650, 365),
  DEFIB_HEARTBEAT_SECONDS: integer(1, 86_400, 60),
  DEFIB_SYNC_FRESHNESS_SECONDS: integer(1, 86_400, 60),
  DEFIB_CLAIM_GRACE_SECONDS: integer(1, 2_592_000, 3600),
  DEFIB_LABEL_IN_PROGRESS: label('status/in-progress'),
  DEFIB_LABEL_READY: label('status/ready'),
  DEFIB_LABEL_DONE: label('status/done'),
  DEFIB_LABEL_AGENT_PREFIX: label('agent/'),
  DEFIB_HOSTNAME: z.string().min(1).max(255).optional(),
  DEFIB_WORKTREE_ROOTS: list(delimiter)
    .refine(
      (roots) => roots.every(isAbsolute),
      `must be absolute paths separated by "${delimiter}"`,
    )
    .optional(),
  DEFIB_CHECKPOINT_REMOTE: z.string().min(1).default('none'),
  DEFIB_CHECKPOINT_RETENTION_DAYS: integer(1, 3650, 14),
  DEFIB_KEEP_RESULT_DAYS: integer(0, 3650, 7),
  DEFIB_RESUME_BACKOFF_SECONDS: integer(0, 86_400, 2),
  DEFIB_SECRETS_ALLOW: list(',').default([]),
  DEFIB_SECRETS_NEVER_ALLOW: list(',').default(['defib-token', 'privatekey']),
  DEFIB_MAX_BUNDLE_MB: integer(1, 4096, 256),
  DEFIB_AGENT_STORAGE_MB: integer(1, 10_000_000, 20_480),
  DEFIB_AGENT_CHECKPOINTS: integer(1, 10_000_000, 20_000),
  DEFIB_GIT_HOSTS: list(',').default(['github.com']),
  DEFIB_GIT_ALLOW_HTTP: flag,
  DEFIB_GIT_CREDENTIALS: json(
    credentials,
    '[{"host": "github.com", "username": "…", "password": "…"}]',
  ).default([]),
  DEFIB_SPAWN_USER: z
    .string()
    .regex(/^[a-z_][a-z0-9_.-]*$/i, 'must be the name of an account')
    .optional(),
  DEFIB_SPAWN_LIMIT: integer(1, 1000, 8),
  DEFIB_WEBHOOK_SECRET: z
    .string()
    .regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/, 'must be whsec_ and at least 24 bytes in base64')
    .optional(),
  DEFIB_WEBHOOK_ALLOW_PRIVATE: flag,
  GITHUB_TOKEN: z.string().min(1).optional(),
  GITHUB_APP_ID: z.string().regex(/^\d+$/, 'must be the numeric id of the GitHub App').optional(),
  GITHUB_APP_PRIVATE_KEY: z.string().min(1).optional(),
  GITHUB_APP_INSTALLATION_ID: z
    .string()
    .regex(/^\d+$/, 'must be the numeric id of the installation')
    .optional(),
  GITHUB_API_URL: url(['http', 'https']).default('https://api.github.com'),
});

/** Whether an environment variable is a setting of Defib, or the file of one. */
export const isSetting = (name: string): boolean =>
  name.startsWith('DEFIB_') || Object.hasOwn(environment.shape, name.replace(/_FILE$/, ''));

/**
 * Rules that concern more than one variable. They ask only what is set, so they can be told along
 * with values that are wrong.
 */
function crossProblems(env: NodeJS.ProcessEnv): string[] {
  const problems: string[] = [];
  if (env.REDIS_URL && !env.DATABASE_URL) {
    problems.push('REDIS_URL needs DATABASE_URL: with Redis, the truth is in a shared PostgreSQL.');
  }
  if (env.DEFIB_DATABASE_POOLER === 'transaction' && !env.REDIS_URL) {
    problems.push(
      'DEFIB_DATABASE_POOLER=transaction needs REDIS_URL: queues on PostgreSQL listen on connections of their own.',
    );
  }
  const app = {
    GITHUB_APP_ID: env.GITHUB_APP_ID,
    GITHUB_APP_PRIVATE_KEY: env.GITHUB_APP_PRIVATE_KEY,
    GITHUB_APP_INSTALLATION_ID: env.GITHUB_APP_INSTALLATION_ID,
  };
  const missing = Object.entries(app).flatMap(([name, value]) => (value ? [] : [name]));
  if (missing.length > 0 && missing.length < 3) {
    problems.push(`A GitHub App needs all three of its variables; missing: ${missing.join(', ')}.`);
  }
  if (env.GITHUB_TOKEN && missing.length === 0) {
    problems.push('Set either GITHUB_TOKEN or the three GITHUB_APP_… variables, not both.');
  }
  return problems;
}

export type GitHubAuth =
  | { kind: 'none' }
  | { kind: 'token'; token: string }
  | { kind: 'app'; appId: string; privateKey: string; installationId: string };

function gitHubAuth(env: z.infer<typeof environment>): GitHubAuth {
  if (env.GITHUB_TOKEN) return { kind: 'token', token: env.GITHUB_TOKEN };
  if (env.GITHUB_APP_ID && env.GITHUB_APP_PRIVATE_KEY && env.GITHUB_APP_INSTALLATION_ID) {
    return {
      kind: 'app',
      appId: env.GITHUB_APP_ID,
      // Environment files often carry the PEM on one line, with \n written out.
      privateKey: env.GITHUB_APP_PRIVATE_KEY.replaceAll(String.raw`\n`, '\n'),
      installationId: env.GITHUB_APP_INSTALLATION_ID,
    };
  }
  return { kind: 'none' };
}

/** The token for GitHub serves its repositories too, unless they have credentials of their own. */
function gitCredentials(env: z.infer<typeof environment>) {
  const own = env.DEFIB_GIT_CREDENTIALS;
  const host = 'github.com';
  if (!env.GITHUB_TOKEN || own.some((entry) => entry.host === host)) return own;
  return [...own, { host, username: 'x-access-token', password: env.GITHUB_TOKEN }];
}

export type Config = ReturnType<typeof build>;

function build(env: z.infer<typeof environment>) {
  return {
    host: env.HOST,
    port: env.PORT,
    publicUrl: env.DEFIB_PUBLIC_URL,
    allowedHosts: env.DEFIB_ALLOWED_HOSTS,
    logLevel: env.DEFIB_LOG_LEVEL,
    dataDir: resolve(env.DEFIB_DATA_DIR),
    databaseUrl: env.DATABASE_URL,
    databasePool: env.DEFIB_DATABASE_POOL,
    databasePooler: env.DEFIB_DATABASE_POOLER,
    redisUrl: env.REDIS_URL,
    queuePrefix: env.DEFIB_QUEUE_PREFIX,
    operatorToken: env.DEFIB_OPERATOR_TOKEN,
    workerConcurrency: env.DEFIB_WORKER_CONCURRENCY,
    maxQueued: env.DEFIB_MAX_QUEUED,
    maxQueuedPerAgent: env.DEFIB_MAX_QUEUED_PER_AGENT,
    rateLimitPerMinute: env.DEFIB_RATE_LIMIT_PER_MINUTE,
    drainMs: env.DEFIB_DRAIN_SECONDS * 1000,
    runRetentionDays: env.DEFIB_RUN_RETENTION_DAYS,
    sessionRetentionDays: env.DEFIB_SESSION_RETENTION_DAYS,
    auditRetentionDays: env.DEFIB_AUDIT_RETENTION_DAYS,
    heartbeatSeconds: env.DEFIB_HEARTBEAT_SECONDS,
    resumeBackoffSeconds: env.DEFIB_RESUME_BACKOFF_SECONDS,
    hostname: env.DEFIB_HOSTNAME ?? hostname(),
    checkpoints: {
      // On one's own machine every repository of one's own may be checkpointed; a server that
      // others use is told which.
      roots: env.DEFIB_WORKTREE_ROOTS ?? (env.DATABASE_URL ? [] : [homedir()]),
      remote: env.DEFIB_CHECKPOINT_REMOTE,
      retentionDays: env.DEFIB_CHECKPOINT_RETENTION_DAYS,
      keepResultDays: env.DEFIB_KEEP_RESULT_DAYS,
      secrets: { allow: env.DEFIB_SECRETS_ALLOW, never: env.DEFIB_SECRETS_NEVER_ALLOW },
      maxBundleBytes: env.DEFIB_MAX_BUNDLE_MB * 1024 * 1024,
      quota: {
        bytes: env.DEFIB_AGENT_STORAGE_MB * 1024 * 1024,
        checkpoints: env.DEFIB_AGENT_CHECKPOINTS,
      },
      gitHosts: env.DEFIB_GIT_HOSTS,
      allowHttp: env.DEFIB_GIT_ALLOW_HTTP === 'true',
      credentials: gitCredentials(env),
    },
    spawn: {
      limit: env.DEFIB_SPAWN_LIMIT,
      user: env.DEFIB_SPAWN_USER,
      webhookSecret: env.DEFIB_WEBHOOK_SECRET,
      webhookAllowPrivate: env.DEFIB_WEBHOOK_ALLOW_PRIVATE === 'true',
    },
    sync: { freshnessSeconds: env.DEFIB_SYNC_FRESHNESS_SECONDS },
    reconcile: {
      graceSeconds: env.DEFIB_CLAIM_GRACE_SECONDS,
      labels: {
        inProgress: env.DEFIB_LABEL_IN_PROGRESS,
        ready: env.DEFIB_LABEL_READY,
        done: env.DEFIB_LABEL_DONE,
        agentPrefix: env.DEFIB_LABEL_AGENT_PREFIX,
      },
    },
    github: { apiUrl: env.GITHUB_API_URL.replace(/\/+$/, ''), auth: gitHubAuth(env) },
  };
}

/**
 * Parses `env` into a frozen configuration.
 *
 * @throws ConfigError with every mistake, each naming its variable.
 */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  // An empty variable means "not set": that is how compose files and CI leave one out.
  const files = withFiles(env);
  const given = Object.fromEntries(Object.entries(files.env).filter(([, value]) => value !== ''));
  const parsed = environment.safeParse(given);
  const wrong = parsed.error?.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
  const problems = [...files.problems, ...(wrong ?? []), ...crossProblems(given)];
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(build(parsed.data));
}
