import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Verb } from './plan.ts';
import { ask } from './run.ts';

const at = (repo: string, path: Buffer): Buffer => Buffer.concat([Buffer.from(`${repo}/`), path]);

function parentOf(file: Buffer): void {
  mkdirSync(file.subarray(0, file.lastIndexOf('/')), { recursive: true });
}

const CONTENTS = ['', 'one\n', 'two\n', 'one\r\ntwo\r\n', 'mixed\r\nends\n', '$Id$\n', '\0\xff\r'];
const content = (n: number): Buffer =>
  n % 2 === 0 ? Buffer.from(CONTENTS[n % CONTENTS.length] ?? '', 'latin1') : Buffer.from(`${n}\n`);

/** Another content of the same size. The time is put back too when `back` is set. */
function sameSize(file: Buffer, back: boolean): void {
  const bytes = readFileSync(file);
  const { mtimeNs } = lstatSync(file, { bigint: true });
  writeFileSync(
    file,
    bytes.map((byte) => byte ^ 1),
  );
  if (!back) return;
  const stamp = `@${mtimeNs / 1_000_000_000n}.${String(mtimeNs % 1_000_000_000n).padStart(9, '0')}`;
  execFileSync('touch', ['-h', '-d', stamp, '--', file.toString('latin1')], { stdio: 'ignore' });
}

const ATTRIBUTES = [
  '* text=auto\n',
  '*.crlf eol=crlf\n',
  '*.txt ident\n',
  'b.txt working-tree-encoding=UTF-16\n',
  '',
];
const IGNORES = [
  'dist/\n',
  '*.log\n',
  'dir/*\n!dir/two\n',
  '/lib\n',
  '',
  'new\nconflict\n',
  '.gitignore\n',
];

/** What an editor, a build or an agent's tools do to a worktree. */
export const FILE_VERBS: Record<string, Verb> = {
  write: ({ repo }, path, n) => {
    const file = at(repo, path);
    parentOf(file);
    writeFileSync(file, content(n));
    if (n % 5 === 0) chmodSync(file, 0o755);
  },
  append: ({ repo }, path, n) => appendFileSync(at(repo, path), `${n}\n`),
  link: ({ repo }, path, n) => {
    const file = at(repo, path);
    parentOf(file);
    symlinkSync(['a', '../..', '/etc/passwd', 'none'][n % 4] ?? 'a', file);
  },
  delete: ({ repo }, path) => rmSync(at(repo, path), { recursive: true }),
  folder: ({ repo }, path) => mkdirSync(at(repo, path), { recursive: true }),
  mode: ({ repo }, path) => {
    const file = at(repo, path);
    chmodSync(file, (lstatSync(file).mode & 0o777) ^ 0o111);
  },
  sameSize: ({ repo }, path, n) => sameSize(at(repo, path), n % 2 === 0),
  rename: ({ repo }, path, n) => renameSync(at(repo, path), join(repo, `moved-${n}`)),
  replace: ({ repo }, path, n) => {
    rmSync(at(repo, path), { recursive: true });
    FILE_VERBS['write']?.({ repo, root: '' }, Buffer.concat([path, Buffer.from('/inner')]), n);
  },
  fifo: ({ repo }, _, n) =>
    void execFileSync('mkfifo', [join(repo, `pipe-${n}`)], { stdio: 'ignore' }),
  attributes: ({ repo }, _, n) =>
    writeFileSync(join(repo, '.gitattributes'), ATTRIBUTES[n % ATTRIBUTES.length] ?? ''),
  ignore: ({ repo }, _, n) =>
    writeFileSync(join(repo, '.gitignore'), IGNORES[n % IGNORES.length] ?? ''),
  innerIgnore: ({ repo }, _, n) => {
    mkdirSync(join(repo, 'dir'), { recursive: true });
    writeFileSync(join(repo, 'dir/.gitignore'), n % 2 === 0 ? '*\n' : 'one\n');
  },
  nested: ({ repo }, _, n) => {
    const top = join(repo, `nested-${n % 2}`);
    mkdirSync(top);
    ask(top, ['init', '-q']);
    writeFileSync(join(top, 'file'), 'nested\n');
    if (n % 3 === 0) return;
    ask(top, ['add', '-A']);
    ask(top, ['commit', '-q', '-m', 'nested']);
  },
};
