import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { World } from './kit.ts';
import { content, existing, name, put } from './kit.ts';

export type Action = (world: World) => void;

const at = (world: World, path: string): string => join(world.repo, path);

function clear(world: World, path: string): string {
  const file = at(world, path);
  rmSync(file, { recursive: true, force: true });
  mkdirSync(dirname(file), { recursive: true });
  return file;
}

function moveTo(world: World, from: string, to: string): void {
  const target = clear(world, to);
  renameSync(at(world, from), target);
}

/** The same size and the same times, so that only the time of change tells. */
function editUnseen(world: World): void {
  const file = at(world, existing(world));
  const info = lstatSync(file);
  const bytes = readFileSync(file);
  if (bytes.length === 0) return;
  const n = world.rng.below(bytes.length);
  bytes[n] = (bytes[n] ?? 0) ^ 0x01;
  writeFileSync(file, bytes);
  utimesSync(file, info.atimeMs / 1000, info.mtimeMs / 1000);
}

const ATTRIBUTES = [
  '* text=auto\n',
  '*.txt text eol=crlf\n',
  '*.txt text eol=lf\n',
  '*.txt ident\n',
  '*.txt -text\n',
  '*.txt working-tree-encoding=UTF-16LE text\n',
  '* export-subst ident\n',
  '*.txt filter=case\n',
  '*.sh binary\n[attr]mine text eol=crlf\ndir/* mine\n',
  '* !text !eol\n',
  '',
];
const IGNORES = [
  '*.ignored\n',
  '*\n!*.txt\n',
  '/dir/\n',
  'build/\n',
  '!*.ignored\n',
  '',
  'sp ace\n\\#hash\n',
  '**/d.txt\n',
];
const TARGETS = ['a.txt', 'dir', '..', '/etc/hostname', 'nowhere', 'link', '.git', '.git/HEAD'];

export const FILE_ACTIONS: Record<string, Action> = {
  write: (world) => put(world, name(world), content(world)),
  edit: (world) => writeFileSync(at(world, existing(world)), content(world)),
  append: (world) => writeFileSync(at(world, existing(world)), 'more\n', { flag: 'a' }),
  editUnseen,
  remove: (world) => rmSync(at(world, existing(world)), { recursive: true }),
  removeFolder: (world) => {
    const folder = dirname(existing(world));
    rmSync(at(world, folder === '.' ? 'dir' : folder), { recursive: true, force: true });
  },
  rename: (world) => moveTo(world, existing(world), name(world)),
  renameCase: (world) => {
    const path = existing(world);
    moveTo(world, path, path.toUpperCase() === path ? path.toLowerCase() : path.toUpperCase());
  },
  toLink: (world) => symlinkSync(world.rng.pick(TARGETS), clear(world, existing(world))),
  newLink: (world) => symlinkSync(world.rng.pick(TARGETS), clear(world, name(world))),
  linkBytes: (world) => symlinkSync(Buffer.from([0x2e, 0x2f, 0xff, 0x0a]), clear(world, 'link')),
  toFile: (world) =>
    writeFileSync(clear(world, world.rng.pick(['dir', 'link', 'build'])), content(world)),
  toFolder: (world) => {
    const path = existing(world);
    clear(world, path);
    put(world, `${path}/inside`, content(world));
  },
  toEmptyFolder: (world) => mkdirSync(clear(world, existing(world))),
  folderToLink: (world) => {
    moveTo(world, 'dir', 'moved');
    symlinkSync('moved', at(world, 'dir'));
  },
  swap: (world) => {
    const [one, two] = [existing(world), existing(world)];
    renameSync(at(world, one), at(world, 'swap.tmp'));
    renameSync(at(world, two), at(world, one));
    renameSync(at(world, 'swap.tmp'), at(world, two));
  },
  chmodX: (world) => chmodSync(at(world, existing(world)), 0o755),
  chmodPlain: (world) => chmodSync(at(world, existing(world)), 0o644),
  chmodOdd: (world) =>
    chmodSync(at(world, existing(world)), world.rng.pick([0o400, 0o654, 0o111, 0o4755, 0o611])),
  future: (world) => utimesSync(at(world, existing(world)), 4e9, 4e9),
  past: (world) => utimesSync(at(world, existing(world)), 0, 0),
  hardLink: (world) => linkSync(at(world, existing(world)), clear(world, name(world))),
  holes: (world) => {
    put(world, 'holes', 'x');
    truncateSync(at(world, 'holes'), 300_000);
  },
  emptyFolder: (world) =>
    mkdirSync(at(world, world.rng.pick(['void', 'dir/void', 'build/void', 'v/o/i/d'])), {
      recursive: true,
    }),
  closedFolder: (world) => chmodSync(at(world, 'dir'), world.rng.pick([0o555, 0o755])),
  bytesName: (world) => {
    const path = Buffer.concat([Buffer.from(at(world, '')), Buffer.from([0xff, 0x20, 0xfe])]);
    writeFileSync(path, content(world));
  },
  longPath: (world) =>
    put(world, `${'p'.repeat(120)}/${'q'.repeat(200)}/${'r'.repeat(200)}`, content(world)),
  fifo: (world) => execFileSync('mkfifo', [clear(world, world.rng.pick(['pipe', 'a.txt']))]),
  attributes: (world) =>
    put(
      world,
      world.rng.pick(['.gitattributes', 'dir/.gitattributes']),
      world.rng.pick(ATTRIBUTES),
    ),
  ignore: (world) =>
    put(
      world,
      world.rng.pick(['.gitignore', 'dir/.gitignore', 'build/.gitignore']),
      world.rng.pick(IGNORES),
    ),
  attributesLink: (world) =>
    symlinkSync(
      'a.txt',
      clear(world, world.rng.pick(['.gitattributes', '.gitignore', '.mailmap'])),
    ),
};
