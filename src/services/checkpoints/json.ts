/** Nesting that JSON from outside may have: functions that walk it call themselves. */
export const MAX_JSON_DEPTH = 100;

/** Whether a value is what JSON can say, nested at most {@link MAX_JSON_DEPTH} deep. */
export function isJson(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || depth >= MAX_JSON_DEPTH) return false;
  return Object.values(value).every((inner) => isJson(inner, depth + 1));
}

/**
 * Where a string is: a key or an index, and where its object or list is. Linked, because a path that is
 * copied for each string would make a long key cost as often as it has values.
 */
export type Place = { step: string; of: Place | undefined };

/** For a key, `place` is that of the object that has it; undefined: the whole value. */
export type StringChange = (
  text: string,
  place: Place | undefined,
  kind: 'key' | 'value',
) => string;

/**
 * The same JSON with each string in it changed, keys as well. Two keys that become one are kept apart
 * by a number.
 *
 * @param change is given each string in order, a key before what it names
 */
export function mapStrings<T>(value: T, change: StringChange, place?: Place): T;
export function mapStrings(value: unknown, change: StringChange, place?: Place): unknown {
  if (typeof value === 'string') return change(value, place, 'value');
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return value.map((inner: unknown, n) =>
      mapStrings(inner, change, { step: String(n), of: place }),
    );
  }
  const entries = new Map<string, unknown>();
  const taken = new Map<string, number>();
  for (const [key, inner] of Object.entries(value)) {
    const name = freeName(entries, taken, change(key, place, 'key'));
    entries.set(name, mapStrings(inner as unknown, change, { step: name, of: place }));
  }
  // Unlike an assignment, this makes a plain property of a key such as `__proto__`.
  return Object.fromEntries(entries);
}

/** `taken` remembers how far each name was counted: thousands of keys may become the same one. */
function freeName(
  entries: ReadonlyMap<string, unknown>,
  taken: Map<string, number>,
  wanted: string,
): string {
  let name = wanted;
  let n = taken.get(wanted) ?? 1;
  while (entries.has(name)) {
    n += 1;
    name = `${wanted} (${n})`;
  }
  taken.set(wanted, n);
  return name;
}
