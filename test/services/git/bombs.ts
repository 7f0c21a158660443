import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { checkpointRef } from '../../../src/services/git/names.ts';
import { captureIn, privateGit, userGit } from './helpers.ts';
import type { Sandbox } from './helpers.ts';

/* Bundles of a few kilobytes that stand for gigabytes. */

/** The base-128 number of a delta, least significant bits first. */
function varint(value: number): Buffer {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
    if (rest < 128) return Buffer.from(bytes);
  }
}

/** An object in a pack: type and size, then its content. */
function packed(type: number, content: Buffer, before = Buffer.alloc(0)): Buffer {
  const first = (type << 4) | (content.length & 15) | (content.length > 15 ? 128 : 0);
  const rest = content.length > 15 ? varint(content.length >> 4) : Buffer.alloc(0);
  return Buffer.concat([Buffer.from([first]), rest, before, deflateSync(content)]);
}

/** A bundle with a delta that makes `blocks` copies of 64 KiB of its base. */
export function deltaBundle(ref: string, commit: string, blocks: number): Buffer {
  const base = Buffer.alloc(0x10000, 'x');
  const oid = createHash('sha1').update(`blob ${base.length}\0`).update(base).digest();
  const copyAll = Buffer.from([0x80]); // offset 0, and a size of 0, which means 64 KiB
  const copies = Buffer.concat(Array.from({ length: blocks }, () => copyAll));
  const delta = Buffer.concat([varint(base.length), varint(blocks * base.length), copies]);
  const head = Buffer.from('PACK\0\0\0\x02\0\0\0\x02', 'latin1');
  const pack = Buffer.concat([head, packed(3, base), packed(7, delta, oid)]);
  const sum = createHash('sha1').update(pack).digest();
  return Buffer.concat([Buffer.from(`# v2 git bundle\n${commit} ${ref}\n\n`), pack, sum]);
}

/** A tree of folders in folders, `width` to each, `depth` deep. */
export function treeBomb(box: Sandbox, width: number, depth: number): string {
  const blob = userGit(box.privateDir, ['hash-object', '-w', '--stdin'], 'x').toString().trim();
  let inner = `100644 blob ${blob}`;
  for (let n = 0; n < depth; n += 1) {
    const lines = Array.from({ length: width }, (_, k) => `${inner}\tn${k}\n`).join('');
    const tree = userGit(box.privateDir, ['mktree'], lines).toString().trim();
    inner = `040000 tree ${tree}`;
  }
  return inner.slice(-40);
}

/** A bundle of a checkpoint whose tree has ten folders in each of ten, ten deep. */
export async function treeBundle(
  box: Sandbox,
  session: { agentName: string; sessionId: string },
): Promise<{ commit: string; bundle: Buffer; file: string }> {
  const ref = checkpointRef(session.agentName, session.sessionId);
  const { commit, tree } = await captureIn(box, session);
  const body = privateGit(box, 'cat-file', 'commit', commit).toString('utf8');
  const forged = userGit(
    box.privateDir,
    ['hash-object', '-w', '-t', 'commit', '--stdin'],
    body.replace(tree, treeBomb(box, 10, 10)),
  );
  const oid = forged.toString('utf8').trim();
  const file = join(box.root, 'sent.bundle');
  privateGit(box, 'update-ref', ref, oid);
  privateGit(box, 'bundle', 'create', '--quiet', file, ref);
  return { commit: oid, bundle: readFileSync(file), file };
}
