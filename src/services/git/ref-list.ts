/*
 * A list of refs as bytes: names need not be UTF-8. One line a ref, as git prints it: no name of a ref has
 * a space or a line end.
 */

export type Ref = { name: Buffer; oid: string; symref: Buffer | null; record: Buffer };

export const REF_FORMAT = '%(objectname) %(refname) %(symref)';

export function parseRefs(list: Buffer): Ref[] {
  const refs: Ref[] = [];
  for (let at = 0; at < list.length;) {
    const end = list.indexOf(0x0a, at);
    const stop = end < 0 ? list.length : end;
    const ref = parseRef(list.subarray(at, stop), list.subarray(at, stop + 1));
    if (ref) refs.push(ref);
    at = stop + 1;
  }
  return refs;
}

function parseRef(line: Buffer, record: Buffer): Ref | null {
  const first = line.indexOf(0x20);
  const second = line.indexOf(0x20, first + 1);
  if (first < 0 || second < 0) return null;
  const oid = line.toString('latin1', 0, first);
  const symref = second + 1 < line.length ? line.subarray(second + 1) : null;
  return /^[0-9a-f]{40,64}$/.test(oid)
    ? { oid, name: line.subarray(first + 1, second), symref, record }
    : null;
}

/** The branch of a session's checkpoints: `checkpoint/<agent>/<session>`. Others of that folder are the user's. */
export const isOwnRef = (name: Buffer): boolean =>
  /^refs\/heads\/checkpoint\/[^/]+\/[^/]+$/.test(name.toString('latin1'));

/** The text of bytes that are UTF-8, else null. */
export function asText(bytes: Buffer): string | null {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : null;
}
