import { openScanner } from '../secrets/scanner.ts';
import { readObjects } from './checkpoint.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import { displayPath, requireOid } from './names.ts';

export type SecretScanOptions = {
  privateDir: string;
  commit: string;
  /** Commits that the receiver has: only what a push would newly send is searched. */
  haves: readonly string[];
  /** Bytes of text that are searched at most. */
  maxBytes?: number;
  deadlineMs?: number;
  signal?: AbortSignal;
};

export type SecretScan = {
  /** Where secrets were found, and by which rule; never the secret itself. */
  findings: { path: string; rule: string }[];
  /** False when the cap cut the search short: the rest was not looked at. */
  complete: boolean;
};

type Item = { oid: string; path: string; size: number };
type ScanText = { path: string; text: string };

const BATCH_BYTES = 2 * 1024 * 1024;

/**
 * Searches everything that a push of the checkpoint would send: all versions of files in it, in its index, in
 * earlier checkpoints and unpushed commits, the saved state, and commit messages. Binary files are
 * passed over. Runs in a worker thread, which is ended at the deadline.
 */
export async function scanForSecrets(options: SecretScanOptions): Promise<SecretScan> {
  const limits = [AbortSignal.timeout(options.deadlineMs ?? 60_000)];
  const signal = AbortSignal.any([...limits, ...(options.signal ? [options.signal] : [])]);
  const repo: GitOptions = { gitDir: options.privateDir, signal };
  const { items, complete } = await itemsToScan(options, repo);
  const found = new Map<string, SecretScan['findings'][number]>();
  const scanner = openScanner();
  try {
    for (const batch of inBatches(items)) {
      const texts = await readTexts(batch, repo);
      if (texts.length === 0) continue;
      const hits = await scanner.find(
        texts.map(({ text }) => text),
        { likely: false, signal: () => signal },
      );
      for (const [n, { path }] of texts.entries()) {
        for (const { rule } of hits[n] ?? []) found.set(`${path}\0${rule}`, { path, rule });
      }
    }
  } finally {
    await scanner.close();
  }
  return { findings: [...found.values()], complete };
}

/** Blobs and commits that the receiver lacks, with the first path under which each is found. */
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
  const items: Item[] = [];
  let bytes = 0;
  let complete = true;
  for (const line of lines(checked.stdout)) {
    const [, type, size = '0', oid = ''] =
      /^(blob|commit) (\d+) ([0-9a-f]+) /.exec(line.toString('latin1')) ?? [];
    if (type === undefined) continue;
    bytes += Number(size);
    if (bytes > (options.maxBytes ?? 128 * 1024 * 1024)) complete = false;
    else items.push({ oid, size: Number(size), path: pathOf(type, oid, line) });
  }
  return { items, complete };
}

function pathOf(type: string, oid: string, line: Buffer): string {
  const path = line.subarray(line.indexOf(oid, 0, 'latin1') + oid.length + 1);
  if (type === 'commit') return `message of commit ${oid.slice(0, 12)}`;
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

async function readTexts(batch: Item[], repo: GitOptions): Promise<ScanText[]> {
  const contents = await readObjects(
    batch.map((item) => item.oid),
    repo,
  );
  return batch.flatMap(({ path }, n) => pieces(path, textOf(contents[n])));
}

/** The text of a file, or null for a binary one: git's own rule, a NUL early on; UTF-16 has a mark. */
function textOf(content: Buffer | undefined): string | null {
  if (!content) return null;
  if (content[0] === 0xff && content[1] === 0xfe) return content.toString('utf16le');
  if (content.subarray(0, 8000).includes(0)) return null;
  return content.toString('utf8');
}

const PIECE = 256 * 1024;
const OVERLAP = 16 * 1024;

/** Long texts in pieces that overlap by more than any secret is long: some patterns are slow on long input. */
function pieces(path: string, text: string | null): ScanText[] {
  if (text === null) return [];
  const list: ScanText[] = [];
  for (let from = 0; from < text.length; from += PIECE - OVERLAP) {
    list.push({ path, text: text.slice(from, from + PIECE) });
  }
  return list;
}
