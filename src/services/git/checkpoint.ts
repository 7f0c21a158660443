import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import { isOid } from './names.ts';
import type { TreeFiles } from './objects.ts';
import { writeCommit, writeTree } from './objects.ts';
import type { PrivateDir } from './private-dir.ts';

/*
 * A checkpoint is three commits:
 *
 *   checkpoint   tree = the worktree    parents = HEAD (unless unborn), index, previous checkpoint
 *   index        tree = what is staged  parents = HEAD (unless unborn), state
 *   state        tree = everything else that a restore needs (state.json and files beside it)
 *                parents = commits that refs, the stash, or a merge or rebase under way need, and that
 *                neither HEAD nor the remote has
 *
 * So one ref keeps all of it alive and one bundle carries it.
 */

const stateSchema = z.object({
  /** 1: without refs, pseudo-refs and settings; those were looked for in the source. */
  version: z.union([z.literal(1), z.literal(2)]),
  head: z.string().refine(isOid).nullable(),
  branch: z.string().nullable(),
  objectFormat: z.enum(['sha1', 'sha256']),
  operation: z.enum(['merge', 'rebase', 'am', 'cherry-pick', 'revert', 'bisect']).nullable(),
  remotes: z.array(z.object({ name: z.string(), url: z.string() })),
  upstream: z.object({ remote: z.string(), merge: z.string() }).nullable(),
  onRemote: z.boolean().optional(),
  sparse: z.object({ cone: z.boolean() }).nullable(),
  shallow: z.boolean(),
  /** How the worktree is to be read: values of `core.fileMode` and the like. */
  settings: z.record(z.string(), z.string()).default({}),
});

/** Where the worktree stood, as far as trees and commits cannot tell. */
export type CheckpointState = z.infer<typeof stateSchema>;

export const STATE = {
  json: 'state.json',
  unmerged: 'index/unmerged',
  undo: 'index/undo',
  flags: 'index/flags',
  emptyFolders: 'worktree/empty-folders',
  absent: 'worktree/absent',
  sparse: 'worktree/sparse-checkout',
  shallow: 'shallow',
  operation: 'operation/',
  blobs: 'blobs/',
  refs: 'refs',
  headTarget: 'head-target',
  stashLog: 'stash-log',
  tags: 'tags',
  objects: 'objects/',
  config: 'config',
  configLeft: 'config-left',
  leftOut: 'left-out',
} as const;

export type CheckpointContent = {
  tree: string;
  indexTree: string;
  stateTree: string;
  head: string | null;
  stateParents: readonly string[];
  previous: string | null;
  agentName: string;
  sessionId: string;
  number: number;
  at: Date;
};

export async function writeState(
  dir: PrivateDir,
  state: CheckpointState,
  files: TreeFiles,
): Promise<string> {
  const json = Buffer.from(`${JSON.stringify(state, null, 2)}\n`);
  return writeTree(dir, new Map([...files, [STATE.json, json]]));
}

/** Writes the three commits and returns the id of the checkpoint. */
export async function writeCheckpoint(
  dir: PrivateDir,
  content: CheckpointContent,
): Promise<string> {
  const { head, previous, at, sessionId, number } = content;
  const base = head === null ? [] : [head];
  const state = await writeCommit(dir, {
    tree: content.stateTree,
    parents: content.stateParents,
    message: `State of the repository at checkpoint ${number} of session ${sessionId}`,
    at,
  });
  const index = await writeCommit(dir, {
    tree: content.indexTree,
    parents: [...base, state],
    message: `Index at checkpoint ${number} of session ${sessionId}`,
    at,
  });
  return writeCommit(dir, {
    tree: content.tree,
    parents: [...base, index, ...(previous === null ? [] : [previous])],
    message: checkpointMessage(content),
    at,
  });
}

function checkpointMessage(content: CheckpointContent): string {
  return `Checkpoint ${content.number} of session ${content.sessionId}

Defib-Agent: ${content.agentName}
Defib-Session: ${content.sessionId}
Defib-Checkpoint: ${content.number}
Defib-Head: ${content.head ?? 'unborn'}`;
}

export type Checkpoint = {
  commit: string;
  tree: string;
  head: string | null;
  index: string;
  indexTree: string;
  stateCommit: string;
  stateTree: string;
  previous: string | null;
  state: CheckpointState;
};

/** Reads a checkpoint's commits, or returns null when the commit is not at hand. */
export async function readCheckpoint(
  commit: string,
  options: GitOptions,
): Promise<Checkpoint | null> {
  // Which parent is the index depends on whether HEAD was unborn: both are asked for, in one process.
  const names = [1, 2].flatMap((n) => {
    const state = `${commit}^${n}^${n}`;
    return [`${commit}^${n}`, state, `${state}:${STATE.json}`];
  });
  const [top, ...rest] = await readObjects([commit, ...names], options);
  if (!top) return null;
  const { tree, parents, message } = parseCommit(top);
  const named = /^Defib-Head: (\S+)$/m.exec(message)?.[1];
  const head = named === 'unborn' ? null : (named ?? null);
  const [index = '', previous = null] = head === null ? parents : parents.slice(1);
  const [indexBody, stateBody, json] = head === null ? rest.slice(0, 3) : rest.slice(3);
  const complete = indexBody && stateBody && json && isOid(index);
  if (named === undefined || !complete || (head !== null && parents[0] !== head)) {
    throw notACheckpoint();
  }
  const { tree: indexTree, parents: indexParents } = parseCommit(indexBody);
  const state = parseState(json);
  if (state.head !== head) throw notACheckpoint();
  const stateCommit = indexParents.at(-1) ?? '';
  const { tree: stateTree } = parseCommit(stateBody);
  return { commit, tree, head, index, indexTree, stateCommit, stateTree, previous, state };
}

function parseState(json: Buffer): CheckpointState {
  try {
    return stateSchema.parse(JSON.parse(json.toString('utf8')));
  } catch (cause) {
    throw new AppError('invalid', 'The state saved in the checkpoint cannot be read.', { cause });
  }
}

function notACheckpoint(): AppError {
  return new AppError('invalid', 'The commit is not a checkpoint made by Defib.');
}

function parseCommit(body: Buffer): { tree: string; parents: string[]; message: string } {
  const text = body.toString('utf8');
  const blank = text.indexOf('\n\n');
  const head = blank < 0 ? text : text.slice(0, blank);
  const values = (name: string) =>
    head.split('\n').flatMap((l) => (l.startsWith(`${name} `) ? [l.slice(name.length + 1)] : []));
  return {
    tree: values('tree')[0] ?? '',
    parents: values('parent'),
    message: text.slice(blank + 2),
  };
}

/** Contents in the order asked; undefined for what does not exist. One child process for all. */
export async function readObjects(
  names: readonly string[],
  options: GitOptions,
): Promise<(Buffer | undefined)[]> {
  const { stdout } = await git(['cat-file', '--batch'], {
    ...options,
    stdin: `${names.join('\n')}\n`,
    maxStdout: 256 * 1024 * 1024,
  });
  let at = 0;
  return names.map(() => {
    const lineEnd = stdout.indexOf(0x0a, at);
    const size = / (\d+)$/.exec(stdout.toString('utf8', at, lineEnd))?.[1];
    at = lineEnd + 1;
    if (size === undefined) return undefined;
    const body = stdout.subarray(at, at + Number(size));
    at += Number(size) + 1;
    return body;
  });
}
