import { describe, expect, it } from 'vitest';
import { findKnown, findLikely } from '../../../src/services/secrets/find.ts';
import { textsOf } from '../../../src/services/secrets/bytes.ts';
import { encodings, planted } from '../../setup/planted.ts';

const kinds = Object.keys(planted);

/** The text without what was found in it. */
async function without(find: typeof findKnown, text: string): Promise<string> {
  const hits = await find(text);
  return hits
    .toSorted((a, b) => b.start - a.start)
    .reduce((rest, { start, end }) => rest.slice(0, start) + rest.slice(end), text);
}

describe.each(kinds)('a secret of the kind %s', (kind) => {
  const { text, secret } = planted[kind]!;

  it.each(Object.keys(encodings))('is found in a file: %s', async (encoding) => {
    const found = await Promise.all(textsOf(encodings[encoding]!(text)).map(findKnown));
    expect(found.flat(), encoding).not.toEqual([]);
  });

  it('is found in what is said, and all of it', async () => {
    for (const said of [text, `tried\n${text}\nagain`, `«${text}»`]) {
      expect(await without(findLikely, said), said).not.toContain(secret);
    }
  });

  it('is found in what is said as JSON, and quoted in Markdown', async () => {
    expect(await without(findLikely, JSON.stringify({ text }))).not.toContain(secret);
    expect(await without(findLikely, `> ${text.replaceAll('\n', '\n> ')}`)).not.toContain(secret);
  });
});

describe('a file', () => {
  it.each([
    'const password = await readPassword(prompt);',
    'PASSWORD=$(cat /run/secrets/db)\nTOKEN="$1"\nAPI_KEY=${KEY:-none}\nSECRET=%s\nTOKEN=<yours>',
    'GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}',
    'POSTGRES_PASSWORD=postgres\nREDIS_PASSWORD=changeme\nPASSWORD=your-password-here',
    'postgres://user:password@host:5432/defib and https://user:pass@host/',
    '.sk-toggleable-content-label-2 { color: #fff }  npm i sk-learn-something-long-enough',
    'Authorization: Bearer <token>; the bearer authentication of the API; -u user:password',
    "token: string; secret = readSecret(path); { token: 'operator', password: 'letmein' }",
    'integrity: "sha512-q7Xk2Vb9Lm4Zt8Rw3Ys6Hd1Gf5Jc0Np=="',
    'the login and password fields; machine learning; password hashing of 12 rounds',
    '-----BEGIN RSA PRIVATE KEY-----',
    'auth: "yes"; "auth": "required"',
    '1234567890:00:00 2026-11-21T18:10:29',
  ])('is left alone that says %j', async (text) => {
    expect(await findKnown(text)).toEqual([]);
  });

  it('of random bytes raises no alarm', async () => {
    const bytes = Buffer.from(
      Array.from({ length: 400_000 }, (_, n) => (Math.imul(n + 1, 2_654_435_761) >>> 13) & 255),
    );
    const found = await Promise.all(textsOf(bytes).map(findKnown));
    expect(found.flat()).toEqual([]);
  });
});
