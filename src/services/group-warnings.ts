const MOST_NAMES = 5;

/** Up to five of these names, each once, and how many there are beside them. */
export function namesOf(all: string[]): string {
  const names = [...new Set(all)];
  const shown = names.slice(0, MOST_NAMES).join(', ');
  const more = names.length - MOST_NAMES;
  return more > 0 ? `${shown} and ${more} more` : shown;
}

export type Found = {
  subject: string;
  text: string;
  /** What is known of it is that old; null or undefined: nothing is, or it does not matter. */
  asOf?: Date | null;
};

/**
 * One warning for each cause, however many things have it: who reads a hundred of them reads none.
 * Causes that differ by a time of day alone are one; the last of them is shown.
 */
export function groupWarnings(step: string, found: Found[]): string[] {
  const byCause = new Map<string, Found[]>();
  for (const one of found) {
    const cause = one.text.replaceAll(/\d\d:\d\d:\d\d/g, '');
    byCause.set(cause, [...(byCause.get(cause) ?? []), one]);
  }
  return [...byCause.values()].map((group) => {
    const subjects = namesOf(group.map(({ subject }) => subject));
    return `${step}: ${subjects}: ${group.at(-1)?.text ?? ''}${ageOf(group)}`;
  });
}

function ageOf(group: Found[]): string {
  const times = group.flatMap(({ asOf }) => (asOf ? [asOf.getTime()] : []));
  if (times.length === 0) return '';
  const oldest = new Date(Math.min(...times)).toISOString().replace(/\.\d+Z$/, 'Z');
  return group.length === 1
    ? ` Its issues are as of ${oldest}.`
    : ` Their issues are as of ${oldest} or later.`;
}
