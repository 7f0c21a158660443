import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  captureIn,
  commitAll,
  filesOf,
  pictureOf,
  restoreFrom,
  sandboxIn,
  standOf,
  userGit,
} from './helpers.ts';
import type { Sandbox } from './helpers.ts';

/* Random worktrees: build, capture twice, restore, compare; the source is compared before and after. */

const NAMES = [
  'a',
  'b.txt',
  'c d',
  '-x',
  'new\nline',
  'ü',
  'A',
  '.hidden',
  'tab\t',
  '"q"',
  'x.crlf',
  'y.log',
  ':(top)',
].map((name) => Buffer.from(name));
const names = fc.constantFrom(...NAMES, Buffer.from([0xff, 0x80]), Buffer.from([0x62, 0xc3]));
const paths = fc
  .array(names, { minLength: 1, maxLength: 3 })
  .map((parts) => Buffer.concat(parts.flatMap((p, n) => (n === 0 ? [p] : [Buffer.from('/'), p]))));
const contents = fc.oneof(
  fc.constantFrom(
    '',
    'one\n',
    'two\n',
    'one\r\ntwo\r\n',
    'mixed\r\nends\n',
    '$Id$\n',
    '* text=auto\n',
  ),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);

type Act =
  | { do: 'write'; path: Buffer; content: string | Buffer; exec: boolean }
  | { do: 'link'; path: Buffer; to: string }
  | { do: 'delete' | 'stage' | 'unstage' | 'folder' | 'mode' | 'same-size'; path: Buffer }
  | { do: 'rename'; path: Buffer; to: Buffer }
  | { do: 'attributes'; text: string };

const acts: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      path: paths,
      content: contents,
      exec: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('link' as const),
      path: paths,
      to: fc.constantFrom('a', '../..', '/etc/passwd', 'none'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'delete' as const,
        'stage' as const,
        'stage' as const,
        'unstage' as const,
        'folder' as const,
        'mode' as const,
        'same-size' as const,
      ),
      path: paths,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('rename' as const), path: paths, to: paths }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('attributes' as const),
      text: fc.constantFrom('* text=auto\n', '*.crlf eol=crlf\n', '*.txt ident\n', ''),
    }),
  },
);

const plans = fc.record({
  before: fc.array(acts, { maxLength: 10 }),
  after: fc.array(acts, { maxLength: 12 }),
  between: fc.array(acts, { maxLength: 4 }),
  autocrlf: fc.constantFrom('true', 'input', 'false'),
  ignored: fc.boolean(),
  merge: fc.boolean(),
  detach: fc.boolean(),
});

type Plan = typeof plans extends fc.Arbitrary<infer T> ? T : never;

const at = (repo: string, path: Buffer): Buffer => Buffer.concat([Buffer.from(`${repo}/`), path]);

/** Does one thing to the worktree; what is not possible in its state is passed over. */
function perform(repo: string, act: Act): void {
  try {
    if (act.do === 'attributes') writeFileSync(join(repo, '.gitattributes'), act.text);
    else performOn(repo, act);
  } catch {
    // a file where a folder is wanted, a path that does not exist: not every act fits every tree
  }
}

function makeParent(path: Buffer): void {
  mkdirSync(path.subarray(0, path.lastIndexOf('/')), { recursive: true });
}

function performOn(repo: string, act: Exclude<Act, { do: 'attributes' }>): void {
  const file = at(repo, act.path);
  if (act.do === 'write') {
    makeParent(file);
    writeFileSync(file, act.content);
    chmodSync(file, act.exec ? 0o755 : 0o644);
  } else if (act.do === 'link') {
    makeParent(file);
    symlinkSync(act.to, file);
  } else if (act.do === 'delete') rmSync(file, { recursive: true });
  else if (act.do === 'folder') mkdirSync(file, { recursive: true });
  else if (act.do === 'mode') chmodSync(file, (lstatSync(file).mode & 0o777) ^ 0o111);
  else if (act.do === 'rename') {
    makeParent(at(repo, act.to));
    renameSync(file, at(repo, act.to));
  } else if (act.do === 'same-size') {
    const bytes = readFileSync(file);
    const { mtimeNs } = lstatSync(file, { bigint: true });
    writeFileSync(
      file,
      bytes.map((byte) => byte ^ 1),
    );
    execFileSync('touch', [
      '-d',
      `@${mtimeNs / 1_000_000_000n}.${String(mtimeNs % 1_000_000_000n).padStart(9, '0')}`,
      '--',
      file.toString('latin1'),
    ]);
  } else {
    const verb = act.do === 'stage' ? ['add', '-f', '-A'] : ['reset', '-q'];
    const stdin = ['--pathspec-from-file=-', '--pathspec-file-nul'];
    userGit(
      repo,
      ['--literal-pathspecs', ...verb, ...stdin],
      Buffer.concat([act.path, Buffer.from([0])]),
    );
  }
}

function build(box: Sandbox, plan: Plan): void {
  const { repo } = box;
  userGit(repo, ['config', 'core.autocrlf', plan.autocrlf]);
  userGit(repo, ['config', 'core.safecrlf', 'false']);
  if (plan.ignored) writeFileSync(join(repo, '.gitignore'), '*.log\n');
  writeFileSync(join(repo, 'conflict'), 'base\n');
  for (const act of plan.before) perform(repo, act);
  commitAll(repo);
  if (plan.merge) {
    userGit(repo, ['checkout', '-q', '-b', 'side']);
    writeFileSync(join(repo, 'conflict'), 'theirs\n');
    commitAll(repo, 'theirs');
    userGit(repo, ['checkout', '-q', '-f', 'main']);
    writeFileSync(join(repo, 'conflict'), 'ours\n');
    commitAll(repo, 'ours');
    try {
      userGit(repo, ['merge', '-q', 'side']);
    } catch {
      // the conflict that is wanted
    }
  } else if (plan.detach) userGit(repo, ['checkout', '-q', '--detach']);
  for (const act of plan.after) perform(repo, act);
}

const budgetMs = Number(process.env['DEFIB_PROPERTY_MS'] ?? 15_000);

test(
  'any worktree is captured and restored exactly, and left exactly as it was',
  { timeout: budgetMs + 45_000 },
  async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        runs += 1;
        const root = realpathSync(mkdtempSync(join(tmpdir(), 'defib-any-')));
        try {
          const box = sandboxIn(root);
          build(box, plan);
          const first = await captureIn(box);
          for (const act of plan.between) perform(box.repo, act);
          const before = pictureOf(box.repo);
          const saved = await captureIn(box, { number: 2, previous: first.commit });
          expect(pictureOf(box.repo)).toEqual(before);
          const fresh = await captureIn(box, { privateDir: join(root, 'fresh') });
          expect(fresh.tree).toBe(saved.tree);
          expect(fresh.indexTree).toBe(saved.indexTree);

          const { worktree } = await restoreFrom(box, saved.commit);
          expect(pictureOf(box.repo)).toEqual(before);
          const files = filesOf(box.repo);
          for (const { path } of saved.notCaptured) removeListed(files, path);
          expect(filesOf(worktree)).toEqual(files);
          expect(standOf(worktree)).toEqual(standOf(box.repo));
        } finally {
          rmSync(root, { recursive: true, force: true });
        }
      }),
      { numRuns: 1000, interruptAfterTimeLimit: budgetMs, markInterruptAsFailure: false },
    );
    if (process.env['DEFIB_PROPERTY_MS']) console.log(`${runs} worktrees`);
    expect(runs).toBeGreaterThan(2);
  },
);

/** Takes a listed path, and what is below it, out of the picture. */
function removeListed(files: Map<string, string>, path: string): void {
  const raw = path.startsWith('"') ? unquote(path) : Buffer.from(path).toString('latin1');
  if (raw.endsWith('/')) files.delete(raw.slice(0, -1));
  for (const name of files.keys()) {
    if (name === raw || (raw.endsWith('/') && name.startsWith(raw))) files.delete(name);
  }
  // A folder that held nothing else is not empty in the source, and not there in the restored worktree.
  for (let folder = dirname(raw); folder !== '.'; folder = dirname(folder)) {
    if (![...files.keys()].some((name) => name.startsWith(`${folder}/`))) files.delete(folder);
  }
}

function unquote(path: string): string {
  return path
    .slice(1, -1)
    .replaceAll(
      /\\(?:([0-7]{3})|(.))/gs,
      (_, octal: string | undefined, plain: string | undefined) =>
        octal === undefined ? (plain ?? '') : String.fromCharCode(Number.parseInt(octal, 8)),
    );
}
