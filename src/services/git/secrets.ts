import { textsOf } from '../secrets/bytes.ts';
import { merge, replace } from '../secrets/replace.ts';
import { openScanner, type Scanner } from '../secrets/scanner.ts';
import { readObjects } from './checkpoint.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import { displayPath, requireOid } from './names.ts';
import { namesIn } from './tree.ts';

export type SecretScanOptions = {
  privateDir: string;
  commit: string;
  /** Commits that the receiver has: only what a push would newly send is searched. */
  haves: readonly string[];
  /** Bytes of files that are searched at most; and as many of folders. */
  maxBytes?: number;
  deadlineMs?: number;
  signal?: AbortSignal;
};

export type SecretScan = {
  /** Where secrets were found, and by which rule; never the secret itself, also where it is in a name. */
  findings: SecretFinding[];
  /** False when the cap cut the search short: the rest was not looked at. */
  complete: boolean;
};

export type SecretFinding = { path: string; rule: string };

type Kind = 'blob' | 'commit' | 'tree';
type Item = { kind: Kind; oid: string; path: string; size: number };
/** A text and where it is; or the `names` in a folder. */
type ScanText = { path: string; text: string; names?: readonly string[] };

/** No pattern runs over this. */
const BORDER = '\n\0\n';

const BATCH_BYTES = 2 * 1024 * 1024;

/**
 * Searches everything that a push of the checkpoint would send: all versions of files in it, in its index, in
 * earlier checkpoints and unpushed commits, their names, the saved state, and commit messages. Runs in a
 * worker thread, which is ended at the deadline.
 */
export async function scanForSecrets(options: SecretScanOptions): Promise<SecretScan> {
  const limits = [AbortSignal.timeout(options.deadlineMs ?? 60_000)];
  const signal = AbortSignal.any([...limits, ...(options.signal ? [options.signal] : [])]);
  const repo: GitOptions = { gitDir: options.privateDir, signal };
  const { items, complete } = await itemsToScan(options, repo);
  const found = new Map<string, SecretFinding>();
  const scanner = openScanner();
  const names = new Set<string>();
  try {
    for (const batch of inBatches(items)) {
      const texts = await readTexts(batch, names, repo);
      for await (const finding of findingsIn(texts, scanner, signal)) {
        found.set(`${finding.path}\0${finding.rule}`, finding);
      }
    }
  } finally {
    await scanner.close();
  }
  return { findings: [...found.values()], complete };
}

async function* findingsIn(
  texts: readonly ScanText[],
  scanner: Scanner,
  signal: AbortSignal,
): AsyncGenerator<SecretFinding> {
  if (texts.length === 0) return;
  const find = (list: readonly string[]) =>
    scanner.find(list, { likely: false, signal: () => signal });
  const hits = await find(texts.map(({ text }) => text));
  for (const [n, { path, text, names }] of texts.entries()) {
    const inside = merge(hits[n] ?? []);
    if (inside.length === 0) continue;
    // A name may be where the secret is, and the finding is shown to people.
    const cleaned = names && replace(text, inside).split(BORDER);
    const places = cleaned?.filter((name, at) => name !== names?.[at]).map((name) => path + name);
    for (const place of places ?? [path]) {
      const [inPlace = []] = await find([place]);
      const safe = replace(place, merge(inPlace));
      const shown = names ? displayPath(Buffer.from(safe)) : safe;
      for (const { rule } of inside) yield { path: shown, rule };
    }
  }
}

/** Blobs, trees and commits that the receiver lacks, with the first path under which each is found. */
async function itemsToScan(options: SecretScanOptions, repo: GitOptions) {
  const haves = options.haves.map((oid) => `^${requireOid('A commit of the receiver', oid)}`);
  const listed = await git(['rev-list', '--objects', '--ignore-missing', '--stdin'], {
    ...repo,
    stdin: [requireOid('The checkpoint', options.commit), ...haves].join('\n'),
  });
  const checked = await git(
    ['cat-file', '--batch-check=%(objecttype) %(objectsize) %(objectname) %(rest)', '--buffer'],
    {
      ...repo,
      stdin: listed.stdout,
    },
  );
  const max = options.maxBytes ?? 128 * 1024 * 1024;
  const items: Item[] = [];
  const bytes = { blob: 0, tree: 0 };
  let complete = true;
  for (const line of lines(checked.stdout)) {
    const [, kind, size = '0', oid = ''] =
      /^(blob|commit|tree) (\d+) ([0-9a-f]+) /.exec(line.toString('latin1')) ?? [];
    if (kind !== 'blob' && kind !== 'commit' && kind !== 'tree') continue;
    const counted = kind === 'tree' ? 'tree' : 'blob';
    bytes[counted] += Number(size);
    if (bytes[counted] > max) complete = false;
    else items.push({ kind, oid, size: Number(size), path: pathOf(kind, oid, line) });
  }
  return { items, complete };
}

function pathOf(kind: Kind, oid: string, line: Buffer): string {
  const path = line.subarray(line.indexOf(oid, 0, 'latin1') + oid.length + 1);
  if (kind === 'commit') return `message of commit ${oid.slice(0, 12)}`;
  if (kind === 'tree') return path.length > 0 ? `${path.toString('utf8')}/` : '';
  return path.length > 0 ? displayPath(path) : oid;
}

function* lines(buffer: Buffer): Generator<Buffer> {
  let from = 0;
  for (let at = buffer.indexOf(0x0a); at >= 0; at = buffer.indexOf(0x0a, from)) {
    yield buffer.subarray(from, at);
    from = at + 1;
  }
}

function* inBatches(items: readonly Item[]): Generator<Item[]> {
  let batch: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    batch.push(item);
    bytes += item.size;
    if (bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

/** @param names those that were searched before; a history has the same ones again and again */
async function readTexts(batch: Item[], names: Set<string>, repo: GitOptions): Promise<ScanText[]> {
  const contents = await readObjects(
    batch.map((item) => item.oid),
    repo,
  );
  return batch.flatMap(({ kind, path, oid }, n) => {
    const content = contents[n];
    if (!content) return [];
    if (kind !== 'tree') return textsOf(content).flatMap((text) => pieces(path, text));
    const fresh = namesIn(content, oid).filter((name) => !names.has(name));
    for (const name of fresh) names.add(name);
    return fresh.length > 0 ? [{ path, text: fresh.join(BORDER), names: fresh }] : [];
  });
}

const PIECE = 256 * 1024;
const OVERLAP = 16 * 1024;

/** Long texts in pieces that overlap by more than any secret is long: some patterns are slow on long input. */
function pieces(path: string, text: string): ScanText[] {
  const list: ScanText[] = [];
  for (let from = 0; from < text.length; from += PIECE - OVERLAP) {
    list.push({ path, text: text.slice(from, from + PIECE) });
  }
  return list;
}
