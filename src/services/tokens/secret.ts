import { createHash, randomBytes } from 'node:crypto';
import type { TokenScope } from '../../db/schema.ts';

// The prefix lets people and secret scanners see what a found string is.
const PREFIXES: Record<TokenScope, string> = {
  operator: 'dfb_op_',
  agent: 'dfb_ag_',
  session: 'dfb_se_',
};

/** A new token: 256 random bits, with a prefix that names its scope. */
export function newTokenSecret(scope: TokenScope): string {
  return PREFIXES[scope] + randomBytes(32).toString('base64url');
}

/** Whether a text looks like a token that {@link newTokenSecret} made. */
export const isTokenSecret = (text: string): boolean => /^dfb_(?:op|ag|se)_[\w-]{43}$/.test(text);

/**
 * SHA-256 of the token. Tokens are random, so a fast hash is enough, and looking a hash up in an
 * index tells an attacker nothing about the token: no comparison of secrets needs constant time.
 */
export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
