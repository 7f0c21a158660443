/*
 * What secretlint's rules pass over. They look for shapes that vendors chose; these look for the places
 * in which people put secrets. Each pattern names what it hides `secret`, begins at something literal,
 * and never searches the same text twice: the text is anybody's.
 */

export type Rule = {
  id: string;
  pattern: RegExp;
  /** Whether what the pattern found is to be hidden after all. */
  accept?: (secret: string) => boolean;
};

/** The tokens of this service: see `tokens/secret.ts`. Few other texts look like one. */
const DEFIB_TOKEN: Rule = {
  id: 'defib-token',
  pattern: /(?<secret>dfb_(?:op|ag|se)_[\w-]{20,})/dg,
};

/** So exact that they also serve in files, where a false alarm keeps work from being pushed. */
export const EXACT_RULES: readonly Rule[] = [DEFIB_TOKEN];

const SECRET_NAME =
  'pass(?:word|wd|phrase)|secret(?:[_-]?access)?(?:[_-]?key)?|token|(?:api|access|private)[_-]?key|credentials?';
const NAMES_SECRET = new RegExp(`(?:${SECRET_NAME}|authorization|cookie)s?$`, 'i');

/** Whether a field of this name holds a secret, as in `apiKey` or `DB_PASSWORD`. */
export function namesSecret(field: string): boolean {
  return NAMES_SECRET.test(field);
}

const STAND_IN = /^(?:\$\w+|\$\{.*|\$\(.*|<.*>|\{\{.*|%\w+%|\*+|x+|\[redacted:.*)$/is;

/** Whether a value only stands for a secret: `$TOKEN`, `<password>`, `***`, or one redacted before. */
export function isStandIn(value: string): boolean {
  return STAND_IN.test(value);
}

/** Without quotes around it, a plain word is prose or a type, and a dotted one or a call is code. */
const WORD_OR_CODE = /^[a-z_.]+(?:[([].*)?$/is;

/** Digits, or capitals within: no word of a sentence. */
const looksRandom = (text: string) => text.length >= 24 || /\d|[a-z][A-Z]/.test(text);

/** For text that is shown to people: a false alarm costs one word. */
export const LIKELY_RULES: readonly Rule[] = [
  DEFIB_TOKEN,
  {
    // A key that was cut off at either end is still one.
    id: 'privatekey',
    pattern:
      /(?<secret>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\s+(?:[A-Z][\w-]*: [^\n]*|[A-Za-z0-9+/=]{16,}))*(?:\s+[A-Za-z0-9+/=]+)?(?:\s*-----END [A-Z0-9 ]{0,40}-----)?)/dg,
  },
  {
    id: 'privatekey',
    pattern:
      /(?<![A-Za-z0-9+/=])(?<secret>(?:[A-Za-z0-9+/=]{16,}\s+){0,200}(?:[A-Za-z0-9+/=]+\s+)?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)/dg,
  },
  { id: 'jwt', pattern: /(?<![\w-])(?<secret>eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)/dg },
  {
    // Providers of models, all of whom copied the prefix.
    id: 'api-key',
    pattern: /(?<![\w-])(?<secret>sk-[\w-]{20,}|AIza[\w-]{35,})/dg,
    accept: (secret) => /\d/.test(secret),
  },
  {
    // secretlint finds these as well, but gives the place of their name.
    id: 'aws',
    pattern:
      /secret_?access_?key["']?\s{0,20}(?:=>|[:=])\s{0,20}["']?(?<secret>[A-Za-z0-9/+=]{40,})/dgi,
  },
  {
    id: 'authorization',
    pattern: /authorization["']?[ \t]*[:=][ \t]*["']?(?:[a-z]+[ \t]+)?(?<secret>[\w.~+/=-]{8,})/dgi,
    accept: looksRandom,
  },
  {
    id: 'authorization',
    pattern: /\bbearer[ \t]+(?<secret>[\w.~+/=-]{8,})/dgi,
    accept: looksRandom,
  },
  { id: 'cookie', pattern: /cookie["']?:[ \t]*(?<secret>[\w-]+=[^\r\n"']+)/dgi },
  {
    id: 'url',
    pattern: /:\/\/(?<secret>[^\s:/?#@"'<>]*:[^\s/?#"'<>]+|[^\s:/?#@"'<>]{20,})@/dg,
  },
  {
    id: 'basic-auth',
    pattern: /(?:\s|^)(?:-u|--user)[=\s]\s*["']?[^\s:"']+:(?<secret>[^\s"']+)/dg,
  },
  {
    id: 'credential',
    pattern: new RegExp(
      `(?:${SECRET_NAME})["'\\]]{0,2}[ \\t]*(?:=>|:=|={1,3}|:)[ \\t]*(?<quote>["'\`])(?<secret>(?:\\\\.|(?!\\k<quote>)[^\\\\\\n]){4,})`,
      'dgi',
    ),
  },
  {
    id: 'credential',
    pattern: new RegExp(
      `(?:${SECRET_NAME})["'\\]]{0,2}[ \\t]*(?:=>|:=|={1,3}|:)[ \\t]*(?<secret>[^\\s"'\`,;]{6,})`,
      'dgi',
    ),
    accept: (secret) => !WORD_OR_CODE.test(secret),
  },
  {
    id: 'credential',
    pattern: new RegExp(
      `--[\\w-]{0,40}(?:${SECRET_NAME})\\s+["']?(?<secret>[^\\s"'-][^\\s"']{5,})`,
      'dgi',
    ),
  },
];
