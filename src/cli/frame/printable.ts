// Control characters, and those that turn the direction of text: a terminal obeys them.
const UNPRINTABLE = /(?![\t\n])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/** Text of agents and servers with what a terminal would obey shown instead, as `\x1b`. Keeps lines. */
export const printable = (text: string): string =>
  text.replaceAll(UNPRINTABLE, (character) => {
    const code = character.charCodeAt(0);
    return code < 256
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });

/** The same on one line. */
export const oneLine = (text: string): string => printable(text.replaceAll(/\s+/g, ' ').trim());
