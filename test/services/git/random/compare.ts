import { dirname } from 'node:path';
import type { NotCaptured } from '../../../../src/services/git/vet.ts';
import type { Stand } from './stand.ts';

/** What differs between two stands, in words; empty when all that was promised is there. */
export function differences(
  source: Stand,
  restored: Stand,
  listed: readonly NotCaptured[],
  parts: readonly (keyof Stand)[],
): string[] {
  const wanted = { ...source, files: new Map(source.files) };
  const nested: string[] = [];
  const unruled: string[] = [];
  for (const { path, reason } of listed) {
    const raw = rawPath(path);
    // What is tracked is not excused by a rule that says to ignore it.
    if (reason.startsWith('ignored')) {
      removeListed(wanted.files, raw, source.index);
      if (isIgnoreFile(raw)) unruled.push(raw.slice(0, -IGNORE_FILE.length));
      continue;
    }
    removeListed(wanted.files, raw);
    nested.push(raw.endsWith('/.git') ? raw.slice(0, -'.git'.length) : raw);
  }
  const plain = (lines: string[]): string[] =>
    lines.filter((line) => !nested.some((path) => isStatusOf(line, path)));
  wanted.status = plain(source.status);
  // Without rules that ignored themselves, what they ignored shows, where it was saved before they came.
  const ruled = (line: string): boolean =>
    wanted.status.includes(line) || !unruled.some((folder) => line.startsWith(`? ${folder}`));
  const found = { ...restored, status: plain(restored.status).filter(ruled) };
  return parts.flatMap((part) => unlike(part, wanted[part], found[part]));
}

const IGNORE_FILE = '.gitignore';
const isIgnoreFile = (path: string): boolean =>
  path === IGNORE_FILE || path.endsWith(`/${IGNORE_FILE}`);

const isStatusOf = (line: string, path: string): boolean =>
  path.endsWith('/') ? line.includes(` ${path}`) : line.endsWith(` ${path}`);

type Part = Stand[keyof Stand];

function unlike(name: string, wanted: Part, found: Part): string[] {
  if (typeof wanted === 'string' || typeof found === 'string') {
    return wanted === found ? [] : [`${name}: ${String(wanted)} became ${String(found)}`];
  }
  if (wanted instanceof Map && found instanceof Map) {
    const keys = new Set([...wanted.keys(), ...found.keys()]);
    return [...keys].flatMap((key) =>
      wanted.get(key) === found.get(key)
        ? []
        : [`${name} ${JSON.stringify(key)}: ${wanted.get(key)} became ${found.get(key)}`],
    );
  }
  const before = [...(wanted as string[])];
  const after = [...(found as string[])];
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `${name} lost: ${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `${name} new: ${line}`),
  ];
}

/** Takes a listed path, and what is below it, out of the files. */
function removeListed(
  files: Map<string, string>,
  raw: string,
  but: ReadonlyMap<string, string> = new Map(),
): void {
  const folder = raw.endsWith('/') ? raw : `${raw}/`;
  const before = files.size;
  for (const name of files.keys()) {
    if (but.has(name)) continue;
    if (`${name}/` === folder || name.startsWith(folder)) files.delete(name);
  }
  if (files.size === before) return;
  // A folder that held nothing else is not there in the restored worktree, nor counted as empty.
  for (let at = dirname(raw); at !== '.'; at = dirname(at)) files.delete(at);
}

/** Undoes the quoting in which a name that is no plain text is listed. */
function rawPath(path: string): string {
  if (!path.startsWith('"')) return Buffer.from(path).toString('latin1');
  // A folder's slash may stand behind the closing quote.
  const end = path.lastIndexOf('"');
  const inner = path
    .slice(1, end)
    .replaceAll(
      /\\(?:([0-7]{3})|(.))/gs,
      (_, octal: string | undefined, plain: string | undefined) =>
        octal === undefined ? (plain ?? '') : String.fromCharCode(Number.parseInt(octal, 8)),
    );
  return inner + path.slice(end + 1);
}
