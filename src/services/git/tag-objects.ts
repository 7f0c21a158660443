import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import { type Kinds, kindsOf } from './keepable.ts';
import { writeLoose } from './objects.ts';

/*
 * Annotated tags are objects that no commit or tree can refer to, so a checkpoint holds their text in one file:
 * `<id> <size>`, a line end, the object, a line end, and so on.
 */

export type Tags = {
  content: Buffer;
  /** What the tags lead to in the end. */
  targets: string[];
  /** Id of a tag → what it leads to in the end. */
  targetOf: ReadonlyMap<string, string>;
};

const MAX_DEPTH = 10;
const MAX_BYTES = 16 * 1024 * 1024;

/** Reads those of the objects that are tags, and the tags that these lead to; `kinds` learns of these. */
export async function readTags(kinds: Kinds, options: GitOptions): Promise<Tags> {
  const bodies = new Map<string, Buffer>();
  let open = [...kinds].flatMap(([oid, kind]) => (kind === 'tag' ? [oid] : []));
  for (let n = 0; open.length > 0 && n < MAX_DEPTH; n += 1) {
    for (const [oid, body] of await readBodies(open, options)) bodies.set(oid, body);
    const next = open.flatMap((oid) => objectOf(bodies.get(oid)) ?? []);
    const fresh = await kindsOf(
      next.filter((oid) => !kinds.has(oid)),
      options,
    );
    for (const [oid, kind] of fresh) kinds.set(oid, kind);
    open = [...fresh].flatMap(([oid, kind]) => (kind === 'tag' ? [oid] : []));
  }
  const targetOf = new Map([...bodies.keys()].map((oid) => [oid, finalTarget(oid, bodies)]));
  const parts = [...bodies].flatMap(([oid, body]) => [`${oid} ${body.length}\n`, body, '\n']);
  return {
    content: Buffer.concat(parts.map((part) => Buffer.from(part))),
    targets: [...new Set(targetOf.values())],
    targetOf,
  };
}

async function readBodies(oids: readonly string[], options: GitOptions) {
  const { stdout } = await git(['cat-file', '--batch=%(objectname) %(objectsize)'], {
    ...options,
    stdin: `${oids.join('\n')}\n`,
    maxStdout: MAX_BYTES,
  });
  return parseTags(stdout);
}

/** Also the format of `git cat-file --batch`. */
function parseTags(content: Buffer): [oid: string, body: Buffer][] {
  const tags: [string, Buffer][] = [];
  for (let at = 0; at < content.length;) {
    const lineEnd = content.indexOf(0x0a, at);
    const [oid = '', size = ''] = content.toString('latin1', at, lineEnd).split(' ');
    if (lineEnd < 0 || !/^\d+$/.test(size)) break;
    tags.push([oid, content.subarray(lineEnd + 1, lineEnd + 1 + Number(size))]);
    at = lineEnd + 2 + Number(size);
  }
  return tags;
}

const objectOf = (body: Buffer | undefined): string | undefined =>
  /^object ([0-9a-f]+)\n/.exec(body?.toString('latin1', 0, 100) ?? '')?.[1];

function finalTarget(oid: string, bodies: ReadonlyMap<string, Buffer>): string {
  const next = objectOf(bodies.get(oid));
  return next === undefined ? oid : finalTarget(next, bodies);
}

/** Writes the tags of a checkpoint into a new repository. One whose id is not that of its text is left out. */
export async function writeTags(content: Buffer, gitDir: string): Promise<void> {
  for (const [oid, body] of parseTags(content)) {
    const hash = createHash(oid.length === 64 ? 'sha256' : 'sha1');
    const actual = hash.update(`tag ${body.length}\0`).update(body).digest('hex');
    if (actual === oid) await writeLoose(join(gitDir, 'objects'), oid, 'tag', body);
  }
}
