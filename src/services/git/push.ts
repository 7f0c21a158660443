import { AppError } from '../../errors.ts';
import type { GitOptions, GitResult } from './git.ts';
import { git, gitFailed } from './git.ts';
import { isOid, requireCheckpointRef, requireOid } from './names.ts';
import type { Credentials, UrlPolicy } from './url.ts';
import { accessTo, checkUrl } from './url.ts';

export type RemoteTarget = {
  url: string;
  policy: UrlPolicy;
  credentials?: readonly Credentials[];
};

export type PushOptions = {
  privateDir: string;
  remote: RemoteTarget;
  ref: string;
  commit: string;
  /** What the remote's branch must point to now; null when it must not exist. */
  expected: string | null;
  timeoutMs?: number;
  signal?: AbortSignal;
};

/**
 * Pushes a checkpoint branch with a lease. Returns once the remote has acknowledged it; repeating a push
 * that was done is no error. `conflict`: the branch was moved by another; `forbidden`: the remote refused
 * the credentials; `unavailable` (transient): it could not be reached.
 */
export async function pushCheckpoint(options: PushOptions): Promise<void> {
  const ref = requireCheckpointRef(options.ref);
  const commit = requireOid('The checkpoint', options.commit);
  const outcome = await pushRef(options, `${commit}:${ref}`, ref, options.expected);
  if (outcome !== 'done') throw moved(ref);
}

function moved(ref: string): AppError {
  return new AppError(
    'conflict',
    `The branch ${ref.slice('refs/heads/'.length)} of the remote is not where the last checkpoint left it; it was not moved.`,
  );
}

export type PushBase = Pick<PushOptions, 'privateDir' | 'remote' | 'timeoutMs' | 'signal'>;

/** Pushes one refspec under a lease. `moved` when the lease does not hold. */
export async function pushRef(
  options: PushBase,
  refspec: string,
  ref: string,
  expected: string | null,
): Promise<'done' | 'moved'> {
  const repo = await remoteGit(options);
  const lease = `--force-with-lease=${ref}:${expected ?? ''}`;
  const args = ['push', '--porcelain', '--no-verify', '--no-signed', '--quiet', lease];
  const result = await git([...args, ...repo.receiver, repo.url, refspec], {
    ...repo.options,
    okCodes: [1, 128],
  });
  if (result.code === 0) return 'done';
  const wanted = refspec.split(':')[0] ?? '';
  if ((await remoteRef(options, ref)) === (wanted === '' ? null : wanted)) return 'done';
  return refusal(result);
}

/*
 * On a path, git starts the receiving side itself, in that repository and with its configuration: hooks,
 * gc and commands named there stay off.
 */
const RECEIVE_PACK =
  'git -c core.hooksPath=/dev/null -c core.alternateRefsCommand=true -c core.fsmonitor=false -c gc.auto=0 -c receive.autogc=false -c maintenance.auto=false receive-pack';

type RemoteGit = { url: string; receiver: string[]; options: GitOptions };

async function remoteGit({ privateDir, remote, timeoutMs, signal }: PushBase): Promise<RemoteGit> {
  const target = await checkUrl(remote.url, remote.policy);
  const { config, env } = accessTo(target, remote.credentials ?? []);
  const options: GitOptions = {
    gitDir: privateDir,
    config: [...config, ['push.gpgSign', 'false'], ['push.recurseSubmodules', 'no']],
    env,
    timeoutMs: timeoutMs ?? 120_000,
    signal,
  };
  const receiver = target.protocol === 'file' ? [`--receive-pack=${RECEIVE_PACK}`] : [];
  return { url: target.url, receiver, options };
}

/** Where the remote's branch points; null when it has none. */
export async function remoteRef(options: PushBase, ref: string): Promise<string | null> {
  return (await listRemote(options, [ref])).get(ref) ?? null;
}

/** All branches that the remote says it has, by their full names: what it has acknowledged. */
export async function remoteBranches(options: PushBase): Promise<Map<string, string>> {
  return await listRemote(options, ['refs/heads/*']);
}

const MAX_LISTING = 64 * 1024 * 1024;

async function listRemote(options: PushBase, patterns: string[]): Promise<Map<string, string>> {
  const repo = await remoteGit(options);
  const result = await git(['ls-remote', '--refs', '--quiet', repo.url, ...patterns], {
    ...repo.options,
    okCodes: [1, 128],
    maxStdout: MAX_LISTING,
  });
  if (result.code !== 0) throw unreachable(result);
  const lines = result.stdout.toString('utf8').split('\n');
  return new Map(
    lines.flatMap((line) => {
      const [oid = '', ref] = line.split('\t');
      return ref !== undefined && isOid(oid) ? [[ref, oid] as const] : [];
    }),
  );
}

function refusal(result: GitResult): 'moved' {
  const text = `${result.stdout.toString('utf8')}\n${result.stderr}`;
  if (/\[rejected\]|stale info|but expected|already exists/.test(text)) return 'moved';
  if (/\[remote rejected\]|pre-receive|protected/.test(text)) {
    throw new AppError(
      'forbidden',
      'The remote refuses the checkpoint branch; allow checkpoint/* there.',
      {
        cause: new Error(text.slice(0, 2000)),
      },
    );
  }
  throw unreachable(result);
}

/** What git said of a remote, as an error for its owner. */
export function unreachable(result: GitResult, what = 'The checkpoint remote'): AppError {
  const cause = new Error(result.stderr.slice(0, 2000));
  if (
    /Authentication failed|could not read Username|403|401|Permission denied/i.test(result.stderr)
  ) {
    return new AppError(
      'forbidden',
      `${what} does not accept the credentials; check those configured for its host.`,
      { cause },
    );
  }
  if (
    /unable to access|Could not resolve|Connection|timed out|hung up|not appear/i.test(
      result.stderr,
    )
  ) {
    return new AppError('unavailable', `${what} cannot be reached.`, {
      transient: true,
      cause,
    });
  }
  return gitFailed(['push or fetch'], result.code, result.stderr);
}
