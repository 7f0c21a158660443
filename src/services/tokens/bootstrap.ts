import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { markDataDir } from '../../data-dir.ts';
import type { Db } from '../../db/connect.ts';
import { findValidToken, validOperatorTokenExists } from '../../db/queries/tokens.ts';
import { issueToken } from './issue.ts';
import { hashToken } from './secret.ts';

export type OperatorAccess =
  /** `DEFIB_OPERATOR_TOKEN` is set. */
  | { from: 'environment' }
  /** The token of an earlier start is in the file and still valid. */
  | { from: 'file'; path: string }
  /** Created just now; this is the one time that it is shown. */
  | { from: 'created'; path: string; token: string }
  /** Operators have tokens elsewhere, this machine has none. */
  | { from: 'elsewhere' };

/**
 * Makes sure that somebody can get in: with `DEFIB_OPERATOR_TOKEN`, or else with a token that the
 * first start creates and writes to `credentials.json`, readable by its owner only.
 */
export async function ensureOperatorAccess(options: {
  db: Db;
  dataDir: string;
  operatorToken: string | undefined;
  /** The database is ours alone, so whoever owns the folder is its operator. */
  ownDatabase: boolean;
}): Promise<OperatorAccess> {
  if (options.operatorToken) return { from: 'environment' };
  const path = join(options.dataDir, 'credentials.json');
  const stored = await readToken(path);
  if (stored && (await findValidToken(options.db, hashToken(stored)))) {
    return { from: 'file', path };
  }
  if (!options.ownDatabase && (await validOperatorTokenExists(options.db))) {
    return { from: 'elsewhere' };
  }
  const { token } = await issueToken(options.db, { scope: 'operator' });
  await mkdir(options.dataDir, { recursive: true });
  await markDataDir(options.dataDir);
  await writeFile(path, `${JSON.stringify({ operatorToken: token }, null, 2)}\n`, { mode: 0o600 });
  // The mode above counts only for a new file.
  await chmod(path, 0o600);
  return { from: 'created', path, token };
}

async function readToken(path: string): Promise<string | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof parsed !== 'object' || parsed === null || !('operatorToken' in parsed)) return;
    return typeof parsed.operatorToken === 'string' ? parsed.operatorToken : undefined;
  } catch {
    // Missing or damaged: a new one is written in its place.
    return undefined;
  }
}
