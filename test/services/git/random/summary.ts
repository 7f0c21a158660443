/** Counts what cases found, by kind: what went wrong without the ids and names of the one case. */
export function summary() {
  const kinds = new Map<string, { count: number; first: string }>();
  let failures = 0;
  return {
    add(number: number, base: string, found: readonly string[]): void {
      if (found.length > 0) failures += 1;
      for (const kind of new Set(found.map(kindOf))) {
        const known = kinds.get(kind) ?? { count: 0, first: `case ${number}, ${base}` };
        kinds.set(kind, { ...known, count: known.count + 1 });
      }
    },
    failures: () => failures,
    text: () =>
      [...kinds]
        .sort(([, a], [, b]) => b.count - a.count)
        .map(([kind, { count, first }]) => `${count} cases (first: ${first}): ${kind}`)
        .join('\n'),
  };
}

const kindOf = (text: string): string =>
  text
    .replaceAll(/[0-9a-f]{40}/g, '<id>')
    .replaceAll(/"[^"]*"/g, '<name>')
    .replaceAll(/\d+/g, 'N')
    .replaceAll(/\s+/g, ' ')
    .slice(0, 90);
