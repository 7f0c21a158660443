/**
 * The names in a tree object, `<mode> <name>\0<oid>` one after another, as UTF-8.
 *
 * @param oid of the tree; its length tells that of the others
 */
export function namesIn(tree: Buffer, oid: string): string[] {
  const names: string[] = [];
  let at = 0;
  for (let end = tree.indexOf(0); end >= 0; end = tree.indexOf(0, at)) {
    names.push(tree.toString('utf8', tree.indexOf(0x20, at) + 1, end));
    at = end + 1 + oid.length / 2;
  }
  return names;
}
