import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitFiles } from './git-files.ts';
import { readGitFiles } from './git-files.ts';
import type { Repository } from './repository.ts';
import type { NotCaptured } from './vet.ts';

export type OperationKind = 'merge' | 'rebase' | 'am' | 'cherry-pick' | 'revert' | 'bisect';

/** Files of the git directory, among them those of a merge, rebase or the like that was under way. */
export type Operation = {
  kind: OperationKind | null;
  files: ReadonlyMap<string, Buffer>;
  /** Ids that an operation needs to go on. They may not exist. */
  needed: readonly string[];
  /** Ids that git only remembers: of ORIG_HEAD and FETCH_HEAD. */
  remembered: readonly string[];
  /** What lies in the git directory and is not saved. */
  notCaptured: NotCaptured[];
};

const MAX_IDS = 500;

/** Reads the files of the git directory that are saved, and what is under way. */
export async function readOperation(repository: Repository): Promise<Operation> {
  const { files, present, notCaptured } = await readGitFiles(repository);
  const needed = new Set<string>();
  const remembered = new Set<string>();
  for (const [path, content] of files) {
    if (/^(?:info|rr-cache)\//.test(path)) continue;
    const ids = /^(?:ORIG|FETCH)_HEAD$/.test(path) ? remembered : needed;
    for (const match of content.toString('latin1').matchAll(OID)) {
      if (ids.size < MAX_IDS) ids.add(match[0]);
    }
  }
  const kind = await kindOf(present, repository);
  return { kind, files, needed: [...needed], remembered: [...remembered], notCaptured };
}

const OID = /\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b/g;

async function kindOf(
  present: GitFiles['present'],
  repository: Repository,
): Promise<OperationKind | null> {
  if (present.has('rebase-merge')) return 'rebase';
  if (present.has('rebase-apply')) {
    const inside: string[] = await readdir(join(repository.gitDir, 'rebase-apply')).catch(() => []);
    return inside.includes('applying') ? 'am' : 'rebase';
  }
  if (present.has('MERGE_HEAD')) return 'merge';
  if (present.has('CHERRY_PICK_HEAD')) return 'cherry-pick';
  if (present.has('REVERT_HEAD')) return 'revert';
  if (present.has('sequencer')) return 'cherry-pick';
  return present.has('BISECT_START') ? 'bisect' : null;
}
