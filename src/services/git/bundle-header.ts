import { open } from 'node:fs/promises';
import { AppError } from '../../errors.ts';
import { isOid } from './names.ts';
import type { ObjectFormat } from './private-dir.ts';

/** The plain-text head of a bundle (gitformat-bundle(5), versions 2 and 3). */
export type BundleHeader = {
  objectFormat: ObjectFormat;
  /** Commits that the receiver must have already. */
  prerequisites: string[];
  refs: { name: string; oid: string }[];
  /** Offset of the pack, in bytes. */
  packAt: number;
};

const MAX_HEADER = 4 * 1024 * 1024;

/** Reads the header; refuses what is not a whole, well-formed one. */
export async function readBundleHeader(file: string): Promise<BundleHeader> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(MAX_HEADER, size));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return parseHeader(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

function parseHeader(buffer: Buffer): BundleHeader {
  const end = buffer.indexOf('\n\n');
  const text = end < 0 ? '' : buffer.toString('utf8', 0, end);
  const [signature = '', ...lines] = text.split('\n');
  const version = /^# v([23]) git bundle$/.exec(signature)?.[1];
  if (version === undefined) throw new AppError('invalid', 'The file is not a git bundle.');
  const header: BundleHeader = {
    objectFormat: 'sha1',
    prerequisites: [],
    refs: [],
    packAt: end + 2,
  };
  for (const line of lines) readLine(line, version, header);
  return header;
}

function readLine(line: string, version: string, header: BundleHeader): void {
  if (line.startsWith('@')) {
    const format = /^@object-format=(sha1|sha256)$/.exec(line)?.[1];
    if (version !== '3' || format === undefined) {
      throw new AppError('invalid', 'The bundle asks for a capability that is not supported.');
    }
    header.objectFormat = format === 'sha256' ? 'sha256' : 'sha1';
    return;
  }
  const wanted = line.startsWith('-') ? line.slice(1) : line;
  const space = wanted.indexOf(' ');
  const oid = space < 0 ? wanted : wanted.slice(0, space);
  if (!isOid(oid)) throw new AppError('invalid', 'The head of the bundle is damaged.');
  if (line.startsWith('-')) header.prerequisites.push(oid);
  else header.refs.push({ name: wanted.slice(space + 1), oid });
}
