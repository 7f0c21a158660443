import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { loadConfig } from '../../config.ts';
import { git } from '../../services/git/git.ts';
import { fetchBase } from '../../services/git/mirror.ts';
import { locateObjects } from '../../services/git/repository.ts';
import { protocolsOf } from '../../services/git/url.ts';
import { CliError } from '../frame/errors.ts';
import { worktreeOf } from '../run/worktree.ts';

export type BaseRequest = {
  /** Commits that the bundle builds on. */
  prerequisites: string[];
  /** Where the checkpoint says that they are. */
  baseUrl: string | null;
  /** A folder for what has to be fetched. */
  scratch: string;
  /** What the user named. */
  given: string | undefined;
};

/**
 * A repository with the commits that a bundle builds on; undefined where it builds on none.
 *
 * @throws CliError `no_base`, AppError as of {@link fetchBase}
 */
export async function findBase(request: BaseRequest): Promise<string | undefined> {
  const { prerequisites, baseUrl, given } = request;
  if (prerequisites.length === 0) return undefined;
  if (given !== undefined) {
    const base = resolve(given);
    if (await hasAll(base, prerequisites)) return base;
    throw new CliError(
      'no_base',
      `${base} does not have commit ${prerequisites[0]}, which the work builds on.`,
      'Fetch there first, or leave --base out.',
    );
  }
  const here = worktreeOf(process.cwd(), process.env);
  if (here !== null && (await hasAll(here, prerequisites))) return here;
  if (baseUrl === null) {
    throw new CliError(
      'no_base',
      `The work builds on commit ${prerequisites[0]}, and no remote is known that has it.`,
      'Name a clone that has it with --base.',
    );
  }
  return await fetched(request, baseUrl);
}

async function hasAll(repository: string, commits: string[]): Promise<boolean> {
  try {
    const objects = await locateObjects(repository, ['/']);
    const { stdout } = await git(['cat-file', '--batch-check=%(objecttype)'], {
      gitDir: join(objects, '..'),
      stdin: commits.map((oid) => `${oid}\n`).join(''),
    });
    const types = stdout.toString('latin1').trimEnd().split('\n');
    return types.every((type) => type === 'commit');
  } catch {
    return false;
  }
}

/** With the credentials that the environment has for the service, and any host: the user asked for it. */
async function fetched({ prerequisites, scratch }: BaseRequest, url: string): Promise<string> {
  const { checkpoints } = loadConfig(process.env);
  const protocols = protocolsOf(checkpoints);
  const folder = join(scratch, 'base');
  await mkdir(folder);
  return await fetchBase({
    folder,
    remote: { url, policy: { roots: ['/'], protocols }, credentials: checkpoints.credentials },
    commits: prerequisites,
  });
}
