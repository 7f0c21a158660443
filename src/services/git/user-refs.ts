import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { STATE } from './checkpoint.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import type { Head } from './head.ts';
import { keepable, kindsOf } from './keepable.ts';
import { displayPath } from './names.ts';
import type { TreeFile } from './objects.ts';
import type { Operation } from './operation.ts';
import { readPlain } from './plain-file.ts';
import type { PrivateDir } from './private-dir.ts';
import { ensureFile } from './private-dir.ts';
import { isOwnRef, parseRefs, REF_FORMAT } from './ref-list.ts';
import type { Repository } from './repository.ts';
import { readTags } from './tag-objects.ts';
import type { NotCaptured } from './vet.ts';

/** What the user's refs, stash and pseudo-refs need of a checkpoint. */
export type UserRefs = {
  /** Files of the state commit. */
  files: ReadonlyMap<string, TreeFile>;
  /** Commits that the state commit keeps alive: those that neither HEAD nor the remote has. */
  parents: readonly string[];
  notCaptured: NotCaptured[];
};

export type RefsInput = {
  repository: Repository;
  dir: PrivateDir;
  head: Head;
  operation: Operation;
  /** The remote whose commits need not be kept: it has them. */
  remote: string | undefined;
};

const MAX_STASH_LOG = 4 * 1024 * 1024;

/** Reads all refs but checkpoint branches. What is costly is done only when one of them moved. */
export async function readUserRefs(input: RefsInput, options: GitOptions): Promise<UserRefs> {
  const { repository, dir, head, operation, remote } = input;
  const { signal } = options;
  const listed = await git(['for-each-ref', `--format=${REF_FORMAT}`], {
    gitDir: repository.gitDir,
    signal,
    okCodes: [128],
  });
  // As with a configuration that git cannot read.
  if (listed.code !== 0) return { files: new Map(), parents: [], notCaptured: [UNREADABLE] };
  const refs = parseRefs(listed.stdout).filter(({ name }) => !isOwnRef(name));
  const stash = await readPlain(join(repository.commonDir, 'logs/refs/stash'), MAX_STASH_LOG);
  const list = Buffer.concat(refs.map(({ record }) => record));
  const key = keyOf([list, stash ?? '', JSON.stringify([head.oid, operation.needed, remote])]);
  const plain = new Map<string, TreeFile>();
  if (list.length > 0) plain.set(STATE.refs, list);
  if (stash) plain.set(STATE.stashLog, stash);
  if (head.target && head.branch !== null) plain.set(STATE.headTarget, head.target);
  const cached = await readCache(dir, key);
  if (cached) return withObjects(plain, cached);
  const needed = [...operation.needed, ...idsIn(stash)];
  const behind = remote === undefined ? [] : refs.filter((ref) => isOf(remote, ref.name));
  const had = [...behind.map(({ oid }) => oid), ...(head.oid === null ? [] : [head.oid])];
  const oids = refs.map(({ oid }) => oid);
  const kinds = await kindsOf([...oids, ...needed, ...operation.remembered, ...had], options);
  const tags = await readTags(kinds, options);
  const kept = await keepable(
    {
      needed,
      wanted: [...oids, ...tags.targets, ...operation.remembered],
      had,
    },
    kinds,
    options,
  );
  const lost = new Set(kept.lost);
  const found: Cached = {
    key,
    parents: kept.commits,
    objects: kept.others,
    tags: tags.content.toString('base64'),
    notCaptured: refs
      .filter(({ oid }) => lost.has(oid) || lost.has(tags.targetOf.get(oid) ?? ''))
      .map(({ name }) => ({ path: displayPath(name), reason: kept.reason }))
      .slice(0, MAX_NAMED),
  };
  await ensureFile(cacheFile(dir), JSON.stringify(found));
  return withObjects(plain, found);
}

const UNREADABLE = {
  path: '.git/refs',
  reason: 'repository: git cannot list the refs; run `git status` there',
};
const MAX_NAMED = 1000;

const isOf = (remote: string, name: Buffer): boolean =>
  name.toString('utf8').startsWith(`refs/remotes/${remote}/`);

function idsIn(log: Buffer | null): string[] {
  const lines = log?.toString('latin1').split('\n') ?? [];
  return lines.flatMap((line) => line.split(' ')[1] ?? []);
}

function keyOf(parts: (Buffer | string)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

const cachedSchema = z.object({
  key: z.string(),
  parents: z.array(z.string()),
  objects: z.array(z.object({ oid: z.string(), mode: z.enum(['100644', '40000']) })),
  tags: z.string(),
  notCaptured: z.array(z.object({ path: z.string(), reason: z.string() })),
});
type Cached = z.infer<typeof cachedSchema>;

export const cacheFile = (dir: Pick<PrivateDir, 'path'>): string => join(dir.path, 'refs.json');

async function readCache(dir: PrivateDir, key: string): Promise<Cached | null> {
  const text = await readFile(cacheFile(dir), 'utf8').catch(() => '');
  try {
    const cached = cachedSchema.parse(JSON.parse(text));
    return cached.key === key ? cached : null;
  } catch {
    return null;
  }
}

function withObjects(plain: Map<string, TreeFile>, cached: Cached): UserRefs {
  const files = new Map(plain);
  if (cached.tags !== '') files.set(STATE.tags, Buffer.from(cached.tags, 'base64'));
  for (const { oid, mode } of cached.objects) files.set(`${STATE.objects}${oid}`, { oid, mode });
  return { files, parents: cached.parents, notCaptured: cached.notCaptured };
}
