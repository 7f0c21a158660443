import { resolve } from 'node:path';
import type { RepositoryConfig } from '../config.ts';

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
  /^core\.(?:autocrlf|eol|safecrlf|ignorecase|quotepath|abbrev|whitespace|commentchar)$/,
  /^core\.(?:sparsecheckout|sparsecheckoutcone|checkroundtripencoding|longpaths)$/,
  /^(?:i18n|pull|push|fetch|rebase|merge|status|index)\.[a-z]+$/,
  /^extensions\.partialclone$/,
];
const KEPT_OUT = /^(?:push\.gpgsign|merge\.tool|merge\.guitool|rebase\.instructionformat)$/;
/** Set anew by `git init`, or of no use elsewhere. */
const UNNOTED =
  /^(?:core\.(?:repositoryformatversion|filemode|bare|logallrefupdates)|extensions\.objectformat)$/;

export type CarriedConfig = { text: string; left: string[] };

/** Text for the new repository's config, and the keys that were left behind. */
export function carryConfig(config: RepositoryConfig, sourceWorktree: string): CarriedConfig {
  const left = new Set<string>();
  let text = '';
  for (const [key, value] of config.entries) {
    if (UNNOTED.test(key)) continue;
    if (KEPT_OUT.test(key) || !CARRIED.some((pattern) => pattern.test(key))) left.add(key);
    else text += configLine(key, isUrl(key) ? absoluteUrl(value, sourceWorktree) : value);
  }
  return { text, left: [...left].sort() };
}

const isUrl = (key: string): boolean => /^remote\..+\.(?:push)?url$/s.test(key);

/** A relative path as remote means "relative to the repository": it must not change its meaning. */
function absoluteUrl(url: string, sourceWorktree: string): string {
  return /^\.{1,2}\//.test(url) ? resolve(sourceWorktree, url) : url;
}

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
