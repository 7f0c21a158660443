import type { GitOptions } from './git.ts';
import { git } from './git.ts';

export type Wish = {
  /** Kept in any case, if they are whole. */
  needed: readonly string[];
  /** Kept where they are not `had`. */
  wanted: readonly string[];
  /** Commits that are kept by others: HEAD, and what the remote has. */
  had: readonly string[];
};

export type Keepable = {
  commits: string[];
  /** Trees and blobs, such as that of AUTO_MERGE. */
  others: { oid: string; mode: '100644' | '40000' }[];
  /** What is missing, in part or as a whole, or is too much. */
  lost: string[];
  reason: string;
};

/** Objects that one checkpoint may carry beside its own. */
const MAX_OBJECTS = 100_000;

/** Finds which of the objects a checkpoint must hold on to, and of those which it can: they must be whole. */
export async function keepable(wish: Wish, kinds: Kinds, options: GitOptions): Promise<Keepable> {
  const commitsOf = (oids: readonly string[]) => oids.filter((oid) => kinds.get(oid) === 'commit');
  const had = new Set(commitsOf(wish.had));
  const not = [...had].map((oid) => `^${oid}`);
  const fresh = commitsOf(wish.wanted).filter((oid) => !had.has(oid));
  const tips = await tipsOf(fresh, not, options);
  const commits = [...new Set([...commitsOf(wish.needed), ...tips])];
  const asked = [...new Set([...wish.needed, ...wish.wanted])];
  const others = asked.flatMap((oid): Keepable['others'] => {
    const kind = kinds.get(oid);
    if (kind === 'tree') return [{ oid, mode: '40000' }];
    return kind === 'blob' ? [{ oid, mode: '100644' }] : [];
  });
  const all = [...commits, ...others.map(({ oid }) => oid)];
  const whole = (await isWhole(all, not, options)) ? all : await wholeOnes(all, not, options);
  const good = new Set(whole);
  const missing = asked.filter((oid) => kinds.get(oid) === 'missing');
  return {
    commits: commits.filter((oid) => good.has(oid)),
    others: others.filter(({ oid }) => good.has(oid)),
    lost: [...all.filter((oid) => !good.has(oid)), ...missing],
    reason: `repository: its objects are missing here in part, or are more than ${MAX_OBJECTS}`,
  };
}

/** Id → `commit`, `tree`, `blob`, `tag` or `missing`. */
export type Kinds = Map<string, string>;

export async function kindsOf(oids: readonly string[], options: GitOptions): Promise<Kinds> {
  const wanted = [...new Set(oids)].filter(
    (oid) => /^[0-9a-f]{40,64}$/.test(oid) && !/^0+$/.test(oid),
  );
  if (wanted.length === 0) return new Map();
  const { stdout } = await git(['cat-file', '--batch-check=%(objecttype)'], {
    ...options,
    stdin: `${wanted.join('\n')}\n`,
  });
  const lines = stdout.toString('latin1').split('\n');
  return new Map(
    wanted.map((oid, n) => [oid, lines[n]?.endsWith(' missing') ? 'missing' : (lines[n] ?? '')]),
  );
}

/** Those that are not had, and not behind one of the others. */
async function tipsOf(
  commits: readonly string[],
  not: readonly string[],
  options: GitOptions,
): Promise<string[]> {
  if (commits.length === 0) return [];
  const { code, stdout } = await git(['rev-list', '--parents', '--stdin'], {
    ...options,
    stdin: [...commits, ...not, ''].join('\n'),
    okCodes: [128],
  });
  // Broken history: all of them, and what is not whole falls away.
  if (code !== 0) return [...new Set(commits)];
  const listed = new Set<string>();
  const behind = new Set<string>();
  for (const line of stdout.toString('latin1').split('\n')) {
    const [commit = '', ...parents] = line.split(' ');
    listed.add(commit);
    for (const parent of parents) behind.add(parent);
  }
  return [...new Set(commits)].filter((oid) => listed.has(oid) && !behind.has(oid));
}

async function wholeOnes(
  oids: readonly string[],
  not: readonly string[],
  options: GitOptions,
): Promise<string[]> {
  const good: string[] = [];
  for (const oid of oids) {
    if (await isWhole([...good, oid], not, options)) good.push(oid);
  }
  return good;
}

async function isWhole(
  oids: readonly string[],
  not: readonly string[],
  options: GitOptions,
): Promise<boolean> {
  if (oids.length === 0) return true;
  const { code, stdout } = await git(
    ['rev-list', '--objects', '--no-object-names', '--missing=print', '--stdin'],
    { ...options, stdin: [...oids, ...not, ''].join('\n'), okCodes: [128] },
  );
  const text = stdout.toString('latin1');
  return code === 0 && !/^\?/m.test(text) && text.split('\n').length <= MAX_OBJECTS;
}
