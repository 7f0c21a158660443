/*
 * What secretlint's rules pass over. They look for shapes that vendors chose; these look for the places
 * in which people put secrets. One list for files and for what is said; where a false alarm would keep
 * work from being pushed, `inFile` asks for more. Each pattern names what it hides `secret`, begins at
 * something literal, and never searches the same text twice: the text is anybody's.
 */

export type Rule = {
  id: string;
  pattern: RegExp;
  /** Whether what the pattern found is to be hidden after all. */
  accept?: (secret: string) => boolean;
  /** Where the secret begins, if that is before what the pattern found. */
  from?: (text: string, found: number) => number;
  /** Besides, whether it counts in a file. False: in none, as files are full of it. */
  inFile?: false | ((secret: string) => boolean);
};

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

const LINE_OF_KEY = 16;

/**
 * Where the lines of base64 begin that stand before the end of a key. Read backwards from there: a pattern
 * that reads forwards would try each line of a long text as the first.
 */
function startOfKey(text: string, end: number): number {
  let start = end;
  for (let lines = 0; ; lines += 1) {
    let to = start;
    while (to > 0 && /\s/.test(text.charAt(to - 1))) to -= 1;
    let from = to;
    while (from > 0 && /[A-Za-z0-9+/=]/.test(text.charAt(from - 1))) from -= 1;
    // The last line of a key may be short.
    const isLine = to < start && to - from >= (lines === 0 ? 1 : LINE_OF_KEY);
    if (!isLine) return start;
    start = from;
  }
}

/** What a file says in place of a secret, or of one that guards nothing. */
const EXAMPLE =
  /^(?:[$%<{].*|.*(?:\$\{|\{\{|<\w|\.\.\.|…|example|placeholder|change[-_]?me|your[-_]|dummy|redacted).*|test(?:ing)?|pass(?:word|wd)?|secret|token|postgres|mysql|redis|root|admin|none|null|undefined|true|false)$/is;
const CODE = /[()[\]{}]|^[a-z_]\w*(?:\.\w+)+$|^\.{0,2}\/|^\w+:\/\//is;

/** In a file, what somebody made up to be guessed by nobody. */
function looksChosen(text: string): boolean {
  if (text.length < 8 || /\s/.test(text) || EXAMPLE.test(text) || CODE.test(text)) return false;
  if (!/\d/.test(text) || !/[a-z]/i.test(text)) return false;
  return text.length >= 16 || (/[A-Z]/.test(text) && /[a-z]/.test(text)) || /[^\w-]/.test(text);
}

/** In a file, the value of `NAME=value`: there is no code in a list of variables. */
const looksSet = (text: string) => text.length >= 8 && !EXAMPLE.test(text) && !CODE.test(text);

const isDense = (text: string) => /\d/.test(text) && /[A-Z]/.test(text) && /[a-z]/.test(text);

/** `user:password` in Base64. */
const isBasicPair = (text: string) =>
  /^[\x21-\x7e][\x20-\x7e]*:[\x20-\x7e]{3,}$/.test(Buffer.from(text, 'base64').toString('latin1'));

/** Line ends, as they are, written out in JSON, or followed by the mark of a quotation. */
const BREAK = '(?:[\\s>|]|\\\\[nr])';
const GAP = `${BREAK}{1,20}`;
const PEM_HEADER = '[A-Z][\\w-]{0,40}: [^\\n\\\\]{0,200}';

export const RULES: readonly Rule[] = [
  // The tokens of this service: see `tokens/secret.ts`. Few other texts look like one.
  { id: 'defib-token', pattern: /(?<secret>dfb_(?:op|ag|se)_[\w-]{20,})/dg },
  {
    // A key that was cut off at either end is still one.
    id: 'privatekey',
    pattern: new RegExp(
      `(?<secret>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:${BREAK}+(?:${PEM_HEADER}|[A-Za-z0-9+/=]{16,}))*(?:${BREAK}+[A-Za-z0-9+/=]+)?(?:${BREAK}*-----END [A-Z0-9 ]{0,40}-----)?)`,
      'dg',
    ),
    inFile: (secret) => /[A-Za-z0-9+/=]{40}/.test(secret),
  },
  {
    id: 'privatekey',
    pattern: /(?<secret>-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)/dg,
    from: startOfKey,
    inFile: (secret) => /[A-Za-z0-9+/=]{40}/.test(secret),
  },
  { id: 'jwt', pattern: /(?<![\w-])(?<secret>eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)/dg },
  {
    // Providers of models, all of whom copied the prefix.
    id: 'api-key',
    pattern: /(?<![\w-])(?<secret>sk-[\w-]{20,}|AIza[\w-]{35,})/dg,
    accept: (secret) => /\d/.test(secret),
    inFile: isDense,
  },
  { id: 'huggingface', pattern: /(?<![\w-])(?<secret>hf_[A-Za-z0-9]{30,})/dg },
  {
    id: 'telegram',
    pattern: /(?<![\w:])(?<secret>\d{8,10}:[\w-]{35})(?![\w-])/dg,
    accept: (secret) => isDense(secret.slice(secret.indexOf(':') + 1)),
  },
  {
    id: 'azure',
    pattern: /(?:Account|SharedAccess)Key=(?<secret>[A-Za-z0-9+/]{40,}={0,2})/dgi,
  },
  {
    id: 'docker-auth',
    pattern: /"auth"\s{0,20}:\s{0,20}"(?<secret>[A-Za-z0-9+/]{8,}={0,2})"/dg,
    accept: isBasicPair,
  },
  {
    id: 'netrc',
    pattern: new RegExp(
      `\\b(?:machine${GAP}\\S{1,255}|default)(?:${GAP}(?:login|account)${GAP}\\S{1,255}){1,2}${GAP}password${GAP}(?<secret>[^\\s"\\\\]{3,})`,
      'dg',
    ),
    inFile: (secret) => !EXAMPLE.test(secret),
  },
  {
    // secretlint finds these as well, but gives the place of their name.
    id: 'aws',
    pattern:
      /secret_?access_?key["']?\s{0,20}(?:=>|[:=])\s{0,20}["']?(?<secret>[A-Za-z0-9/+=]{40,})/dgi,
    inFile: (secret) => !EXAMPLE.test(secret),
  },
  {
    id: 'authorization',
    pattern: /authorization["']?[ \t]*[:=][ \t]*["']?(?:[a-z]+[ \t]+)?(?<secret>[\w.~+/=-]{8,})/dgi,
    accept: looksRandom,
    inFile: (secret) => secret.length >= 20 && isDense(secret) && !EXAMPLE.test(secret),
  },
  {
    id: 'authorization',
    pattern: /\bbearer[ \t]+(?<secret>[\w.~+/=-]{8,})/dgi,
    accept: looksRandom,
    inFile: (secret) => secret.length >= 20 && isDense(secret) && !EXAMPLE.test(secret),
  },
  { id: 'cookie', pattern: /cookie["']?:[ \t]*(?<secret>[\w-]+=[^\r\n"']+)/dgi, inFile: false },
  {
    id: 'url',
    pattern: /:\/\/(?<secret>[^\s:/?#@"'<>]*:[^\s/?#"'<>]+|[^\s:/?#@"'<>]{20,})@/dg,
    inFile: (secret) => looksChosen(secret.slice(secret.indexOf(':') + 1)),
  },
  {
    id: 'basic-auth',
    pattern: /(?:\s|^)(?:-u|--user)[=\s]\s*["']?[^\s:"']+:(?<secret>[^\s"']+)/dg,
    inFile: looksChosen,
  },
  {
    id: 'credential',
    pattern:
      /(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)=(?<quote>["']?)(?<secret>[^\s"'`;,&]{6,})/dg,
    accept: (secret) => /[^A-Za-z_.]/.test(secret) || /^[A-Za-z_]{12,}$/.test(secret),
    inFile: looksSet,
  },
  {
    id: 'credential',
    pattern: new RegExp(
      `(?:${SECRET_NAME})["'\\]]{0,2}[ \\t]*(?:=>|:=|={1,3}|:)[ \\t]*(?<quote>["'\`])(?<secret>(?:\\\\.|(?!\\k<quote>)[^\\\\\\n]){4,})`,
      'dgi',
    ),
    inFile: looksChosen,
  },
  {
    id: 'credential',
    pattern: new RegExp(
      `(?:${SECRET_NAME})["'\\]]{0,2}[ \\t]*(?:=>|:=|={1,3}|:)[ \\t]*(?<secret>[^\\s"'\`,;]{6,})`,
      'dgi',
    ),
    accept: (secret) => !WORD_OR_CODE.test(secret),
    inFile: looksChosen,
  },
  {
    id: 'credential',
    pattern: new RegExp(
      `--[\\w-]{0,40}(?:${SECRET_NAME})\\s+["']?(?<secret>[^\\s"'-][^\\s"']{5,})`,
      'dgi',
    ),
    inFile: looksChosen,
  },
];
