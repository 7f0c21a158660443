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
 * The same JSON with each string in it changed, keys as well. Two keys that become one are kept apart
 * by a number.
 *
 * @param change is given the string, and where it is: keys and indexes from the outside in
 */
export function mapStrings<T>(
  value: T,
  change: (text: string, path: readonly string[]) => string,
  path?: readonly string[],
): T;
export function mapStrings(
  value: unknown,
  change: (text: string, path: readonly string[]) => string,
  path: readonly string[] = [],
): unknown {
  if (typeof value === 'string') return change(value, path);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return value.map((inner, n) => mapStrings(inner as unknown, change, [...path, String(n)]));
  }
  const entries = new Map<string, unknown>();
  for (const [key, inner] of Object.entries(value)) {
    const changed = change(key, path);
    let name = changed;
    for (let n = 2; entries.has(name); n += 1) name = `${changed} (${n})`;
    entries.set(name, mapStrings(inner as unknown, change, [...path, name]));
  }
  // Unlike an assignment, this makes a plain property of a key such as `__proto__`.
  return Object.fromEntries(entries);
}
