/*
 * Secrets as people leave them lying about. All are put together here at run time, so that no scanner takes
 * this file for a leak; none of them opens anything.
 */

export type Planted = {
  /** The text around it, as it would stand in a file. */
  text: string;
  /** What must not be found anywhere else. */
  secret: string;
};

const random = 'q7Xk2Vb9Lm4Zt8Rw3Ys6Hd1Gf5Jc0Np';
/** `length` letters and digits that look like chance, another row for each `seed`. */
const chance = (length: number, seed = 0) =>
  Array.from({ length }, (_, n) => random[(n * 7 + seed * 11 + (n >> 5)) % random.length]).join('');
const base64 = (text: string) => Buffer.from(text).toString('base64');
const line = (text: string) => ({ text, secret: text });
const within = (secret: string, around: (secret: string) => string) => ({
  text: around(secret),
  secret,
});

function pem(kind: string, headers = ''): Planted {
  const body = [chance(64, 1), chance(64, 2), chance(40, 3)];
  const [begin, end] = ['BEGIN', 'END'].map((word) => `-----${word} ${kind} KEY-----`);
  return { text: `${begin}\n${headers}${body.join('\n')}\n${end}\n`, secret: body[1] ?? '' };
}

const jwt = [base64('{"alg":"HS256","typ":"JWT"}'), base64('{"sub":"1234567890"}'), chance(43)]
  .join('.')
  .replaceAll('=', '');

export const planted: Record<string, Planted> = {
  github: line(`ghp_${chance(36)}`),
  jwt: line(jwt),
  google: line(`AI${'za'}Sy${chance(33)}`),
  huggingface: line(`hf${'_'}${chance(34).replaceAll(/\d/g, 'e')}`),
  azure: within(
    `${chance(86)}==`,
    (key) => `DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=${key};EndpointSuffix=x`,
  ),
  docker: within(
    base64(`joe:${chance(12)}`),
    (auth) => `{"auths": {"https://index.docker.io/v1/": {"auth": "${auth}"}}}`,
  ),
  netrc: within(chance(14), (word) => `machine git.example.com\n  login joe\n  password ${word}\n`),
  telegram: line(`123456789:AA${chance(33)}`),
  openai: line(`sk-proj-${chance(40)}`),
  password: within(['correct', 'horsebattery'].join(''), (word) => `DB_PASSWORD=${word}\n`),
  quoted: within(`${chance(10)}!x`, (word) => `const apiKey = "${word}";`),
  url: within(chance(12), (word) => `redis://joe:${word}@cache.internal:6379/0`),
  ecKey: pem('EC PRIVATE'),
  encryptedKey: pem('ENCRYPTED PRIVATE'),
  oldEncryptedKey: pem(
    'RSA PRIVATE',
    'Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0102030405060708090A0B0C0D0E0F10\n\n',
  ),
  keyInJson: (({ text, secret }) => ({
    text: JSON.stringify({ type: 'service_account', private_key: text }),
    secret,
  }))(pem('PRIVATE')),
  aws: within(chance(40), (key) => `aws_secret_access_key = ${key}`),
  defib: line(`dfb_ag_${chance(43)}`),
};

const swapped = (text: string) => Buffer.from(text, 'utf16le').swap16();
const noise = Buffer.from(Array.from({ length: 2000 }, (_, n) => (n * 151 + (n >> 3)) % 256));

/** How a file may hold a text. */
export const encodings: Record<string, (text: string) => Buffer> = {
  plain: (text) => Buffer.from(text),
  'UTF-16LE': (text) => Buffer.from(`notes for later: ${text} end`, 'utf16le'),
  'UTF-16BE': (text) => swapped(`notes for later: ${text} end`),
  'UTF-16LE with a mark': (text) => Buffer.from(`\ufeffnötes: ${text} end`, 'utf16le'),
  'after an early NUL': (text) => Buffer.concat([Buffer.from('a\0b\n'), Buffer.from(text)]),
  'in a binary file': (text) => Buffer.concat([noise, Buffer.from(`\0${text}\0`), noise]),
  'UTF-16 in a binary file, at an odd place': (text) =>
    Buffer.concat([noise, Buffer.from([0, 0, 7]), Buffer.from(text, 'utf16le'), noise]),
};
