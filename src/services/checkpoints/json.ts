/** Nesting that JSON from outside may have: functions that walk it call themselves. */
export const MAX_JSON_DEPTH = 100;

/** Whether a value is what JSON can say, nested at most {@link MAX_JSON_DEPTH} deep. */
export function isJson(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || depth >= MAX_JSON_DEPTH) return false;
  return Object.values(value).every((inner) => isJson(inner, depth + 1));
}

/** `path`: keys and indexes from the outside in; for a key, those of the object that has it. */
export type StringChange = (text: string, path: readonly string[], kind: 'key' | 'value') => string;

/**
 * The same JSON with each string in it changed, keys as well. Two keys that become one are kept apart
 * by a number.
 *
 * @param change is given each string in order, a key before what it names
 */
export function mapStrings<T>(value: T, change: StringChange, path?: readonly string[]): T;
export function mapStrings(
  value: unknown,
  change: StringChange,
  path: readonly string[] = [],
): unknown {
  if (typeof value === 'string') return change(value, path, 'value');
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return value.map((inner, n) => mapStrings(inner as unknown, change, [...path, String(n)]));
  }
  const entries = new Map<string, unknown>();
  for (const [key, inner] of Object.entries(value)) {
    const changed = change(key, path, 'key');
    let name = changed;
    for (let n = 2; entries.has(name); n += 1) name = `${changed} (${n})`;
    entries.set(name, mapStrings(inner as unknown, change, [...path, name]));
  }
  // Unlike an assignment, this makes a plain property of a key such as `__proto__`.
  return Object.fromEntries(entries);
}
