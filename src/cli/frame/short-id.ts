/** The first 48 bits of an id are its time, in milliseconds: `01a1fd5d-95f0`. */
const SHORT = 13;

/** Cuts ids to where those of one listing differ; the API takes them so, as long as they are unique. */
export function shortIds(ids: string[]): (id: string) => string {
  const all = [...new Set(ids)];
  let length = SHORT;
  while (new Set(all.map((id) => id.slice(0, length))).size < all.length) length += 1;
  return (id) => id.slice(0, length).replace(/-$/, '');
}
