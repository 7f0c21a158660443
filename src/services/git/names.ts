import { AppError } from '../../errors.ts';

/**
 * A file name for people and JSON. UTF-8 stays as it is; other bytes, control characters and quotes
 * become git's own quoted form (`"caf\351"`), so two different names never look the same.
 */
export function displayPath(path: Buffer): string {
  const text = path.toString('utf8');
  const plain = path.every(
    (byte) => byte >= 0x20 && byte !== 0x7f && byte !== 0x22 && byte !== 0x5c,
  );
  if (plain && Buffer.from(text, 'utf8').equals(path)) return text;
  let quoted = '"';
  for (const byte of path) {
    if (byte === 0x22 || byte === 0x5c) quoted += `\\${String.fromCharCode(byte)}`;
    else if (byte >= 0x20 && byte < 0x7f) quoted += String.fromCharCode(byte);
    else quoted += `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return `${quoted}"`;
}

const SAFE_SEGMENT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** One segment of a ref name: stricter than git, so it can never be an option, a path or a lock file. */
export function refSegment(what: string, value: string): string {
  const bad = !SAFE_SEGMENT.test(value) || value.includes('..') || /(\.lock|\.)$/.test(value);
  if (bad) {
    throw new AppError(
      'invalid',
      `${what} ${JSON.stringify(value.slice(0, 80))} cannot name a branch: use 1 to 128 letters, digits, ".", "_" or "-", beginning with a letter or digit.`,
    );
  }
  return value;
}

/** The full name of the branch that carries a session's checkpoints. */
export function checkpointRef(agentName: string, sessionId: string): string {
  return `refs/heads/checkpoint/${refSegment('Agent name', agentName)}/${refSegment('Session id', sessionId)}`;
}

const CHECKPOINT_REF = /^refs\/heads\/checkpoint\/([^/]+)\/([^/]+)$/;

/** Whether a ref is below where checkpoints are. */
export const isCheckpointRef = (ref: string): boolean => ref.startsWith('refs/heads/checkpoint/');

/** Refuses every ref that is not a checkpoint branch, so that no caller can move or delete another. */
export function requireCheckpointRef(ref: string): string {
  const match = CHECKPOINT_REF.exec(ref);
  if (!match?.[1] || !match[2]) {
    throw new AppError('invalid', 'Only branches below refs/heads/checkpoint/ are handled here.');
  }
  return checkpointRef(match[1], match[2]);
}

const OID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** Whether the text is a full object id (SHA-1 or SHA-256). */
export function isOid(text: string): boolean {
  return OID.test(text);
}

/** A full object id, or an error: names are never passed where git could read them as options. */
export function requireOid(what: string, text: string): string {
  if (!isOid(text)) throw new AppError('invalid', `${what} must be a full object id.`);
  return text;
}
