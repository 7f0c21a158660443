/** Shorter runs are what chance leaves in any binary file, and no secret is shorter. */
const RUN = 8;

const SAYS = '[\\t\\n\\r\\x20-\\x7e]';
const NARROW = new RegExp(`${SAYS}{${RUN},}`, 'g');
/** UTF-16 of either order: of ASCII, each second byte is NUL. */
const WIDE = new RegExp(`(?:${SAYS}\\0){${RUN - 1},}${SAYS}`, 'g');

/**
 * The texts that a file holds, whatever its kind. One without a NUL is a text itself. Of any other, the
 * runs of ASCII count, as strings(1) finds them, one and two bytes a character: so neither an encoding
 * without a mark nor a NUL early on hides anything. What is compressed is not looked into.
 */
export function textsOf(content: Buffer): string[] {
  if (!content.includes(0)) return [content.toString('utf8')];
  const bytes = content.toString('latin1');
  const wide = runs(bytes, WIDE).replaceAll('\0', '');
  return [runs(bytes, NARROW), wide].filter((text) => text !== '');
}

/** Each on its own: what stands apart in the file must not become one. */
const runs = (bytes: string, pattern: RegExp) => (bytes.match(pattern) ?? []).join('\n\0\n');
