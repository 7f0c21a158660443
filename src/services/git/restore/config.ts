import { resolve } from 'node:path';
import { READING, withoutCredentials } from '../config.ts';

/*
 * Which settings of the source go into the restored repository: those that say who commits, where
 * branches are pushed and how files are converted. Nothing that names a program goes: the restored worktree
 * may be used by another user or on another host, where nobody chose to trust it.
 */
const CARRIED = [
  /^remote\..+\.(?:url|pushurl|fetch|push|tagopt|prune|mirror|promisor|partialclonefilter)$/s,
  /^branch\..+\.(?:remote|pushremote|merge|rebase|description)$/s,
  /^submodule\..+\.(?:url|active|branch|ignore)$/s,
  /^(?:user|author|committer)\.(?:name|email)$/,
  READING,
  /^core\.(?:safecrlf|quotepath|abbrev|whitespace|commentchar)$/,
  /^core\.(?:sparsecheckout|sparsecheckoutcone|longpaths)$/,
  /^(?:i18n|pull|push|fetch|rebase|merge|status|index)\.[a-z]+$/,
  /^extensions\.partialclone$/,
  /^rerere\.(?:enabled|autoupdate)$/,
];
const KEPT_OUT = /^(?:push\.gpgsign|merge\.tool|merge\.guitool|rebase\.instructionformat)$/;
/** Set anew by `git init`, or of no use elsewhere. */
const UNNOTED =
  /^(?:core\.(?:repositoryformatversion|bare|logallrefupdates)|extensions\.(?:objectformat|worktreeconfig))$/;

type Entries = readonly (readonly [key: string, value: string])[];

export type Carried = { entries: Entries; left: string[] };

/** The settings that go along, and the keys that are left behind, without what may be secret in them. */
export function carried(all: Entries, sourceWorktree: string): Carried {
  const left = new Set<string>();
  const entries: (readonly [string, string])[] = [];
  for (const [key, value] of all) {
    if (UNNOTED.test(key)) continue;
    if (KEPT_OUT.test(key) || !CARRIED.some((pattern) => pattern.test(key))) {
      left.add(key.replaceAll(/\/\/[^/@]*@/g, '//'));
    } else entries.push([key, isUrl(key) ? absoluteUrl(value, sourceWorktree) : value]);
  }
  return { entries, left: [...left].sort() };
}

const isUrl = (key: string): boolean => /^(?:remote|submodule)\..+\.(?:push)?url$/s.test(key);

/** A relative path as remote means "relative to the repository": it must not change its meaning. */
function absoluteUrl(url: string, sourceWorktree: string): string {
  return /^\.{1,2}\//.test(url) ? resolve(sourceWorktree, url) : url;
}

/** Settings as a file of a checkpoint: `<key>`, a line end, `<value>`, NUL. Addresses lose their credentials. */
export function configRecords(entries: Entries): Buffer {
  const records = entries.map(
    ([key, value]) => `${key}\n${isUrl(key) ? withoutCredentials(value) : value}\0`,
  );
  return Buffer.from(records.join(''));
}

/** The settings of a checkpoint, filtered again: it may come from a stranger. */
export function readRecords(records: Buffer): Carried {
  const entries = records
    .toString('utf8')
    .split('\0')
    .flatMap((record) => {
      const at = record.indexOf('\n');
      return at < 0 ? [] : [[record.slice(0, at), record.slice(at + 1)] as const];
    });
  return carried(entries, '/');
}

/** Saved settings, with the credentials that the source has for the same address. */
export function withAddresses(saved: Entries, present: Entries): Entries {
  const whole = new Map(
    present
      .filter(([key]) => isUrl(key))
      .map(([key, value]) => [`${key}\n${withoutCredentials(value)}`, value]),
  );
  return saved.map(([key, value]) => [key, whole.get(`${key}\n${value}`) ?? value] as const);
}

/** Settings in git's file format. */
export const configText = (entries: Entries): string =>
  entries.map(([key, value]) => configLine(key, value)).join('');

/** One setting in git's file format, with everything quoted. */
export function configLine(key: string, value: string): string {
  const first = key.indexOf('.');
  const last = key.lastIndexOf('.');
  const name = key.slice(last + 1);
  const section =
    first === last
      ? key.slice(0, first)
      : `${key.slice(0, first)} ${quote(key.slice(first + 1, last))}`;
  return `[${section}]\n\t${name} = ${quote(value)}\n`;
}

function quote(value: string): string {
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return `"${escaped.replaceAll('\n', '\\n').replaceAll('\t', '\\t')}"`;
}
