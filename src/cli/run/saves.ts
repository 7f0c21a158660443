import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { baseRemote } from '../../services/git/base-remote.ts';
import { createBundle, remoteHaves } from '../../services/git/bundle.ts';
import type { Capture } from '../../services/git/capture-types.ts';
import { capture } from '../../services/git/capture.ts';
import { checkpointRef } from '../../services/git/names.ts';
import { moveCheckpointRef } from '../../services/git/publish.ts';
import { readTip } from '../../services/git/tip.ts';
import { isPathUrl } from '../../services/git/url.ts';
import type { Reasoning } from '../../services/checkpoints/reasoning.ts';
import { messageOf } from './deliver.ts';
import type { CheckpointEntry, Outbox } from './outbox.ts';
import { type Places, type SavedSession, writeSaved } from './places.ts';
import { OWN_MACHINE } from './worktree.ts';

export type Saves = {
  /**
   * Saves the worktree and the reasoning into the outbox, if either changed. One at a time, in the order
   * asked for. Never rejects: what goes wrong is told, once, and the agent goes on.
   *
   * @returns milliseconds that it took
   */
  save(trigger: string): Promise<number>;
  /** What the worktree held when it was captured last; undefined: it never was. */
  last(): Capture | undefined;
  /** The bundle of a checkpoint again, with all history; from now on every bundle is like that. */
  makeWhole(entry: CheckpointEntry): Promise<string | undefined>;
};

export type SavesOptions = {
  session: SavedSession;
  places: Places;
  outbox: Outbox;
  maxBundleBytes: number;
  turn: () => number;
  readReasoning: () => Promise<Reasoning | undefined>;
  tell: (text: string) => void;
};

/** A capture may take this long; at the end of a session less is left than ever. */
const CAPTURE_MS = 60_000;

export function createSaves(options: SavesOptions): Saves {
  const { session, places, outbox, tell } = options;
  const told = new Set<string>();
  const tellOnce = (text: string): void => {
    if (!told.has(text)) tell(text);
    told.add(text);
  };
  /** What the outbox has got last. */
  let queued = { commit: session.commit, reasoning: '' };
  let whole = false;
  let last: Capture | undefined;
  let tail: Promise<unknown> = Promise.resolve();

  const save = async (trigger: string): Promise<void> => {
    const reasoning = await options.readReasoning().catch((error: unknown) => {
      tellOnce(`What the agent knows was not saved: ${messageOf(error)}`);
      return undefined;
    });
    const taken = session.worktree === null ? undefined : await captureOwn(session.worktree);
    const said = JSON.stringify(reasoning ?? null);
    const isNew = {
      files: taken !== undefined && taken.commit !== queued.commit,
      reasoning: reasoning !== undefined && said !== queued.reasoning,
    };
    if (!isNew.files && !isNew.reasoning) return;
    const made = taken && isNew.files ? await bundleOf(taken) : undefined;
    const entry: CheckpointEntry = {
      kind: 'checkpoint',
      key: randomUUID(),
      trigger,
      turn: options.turn(),
      ...(reasoning && { reasoning }),
      ...(made && { files: made.files }),
    };
    if (!made && !reasoning) return;
    await outbox.add(entry, made?.bundle);
    queued = { commit: taken?.commit ?? null, reasoning: said };
  };

  /** Captures the worktree, and moves its branch: then the work is safe from everything but the disk. */
  const captureOwn = async (worktree: string): Promise<Capture> => {
    const ref = checkpointRef(session.agentName, session.id);
    const place = { worktree, policy: OWN_MACHINE, ref };
    const tip = await readTip({
      ...place,
      recorded: session.commit,
      privateDir: places.privateDir,
    });
    const taken = await capture({
      ...place,
      privateDir: places.privateDir,
      agentName: session.agentName,
      sessionId: session.id,
      number: session.made + 1,
      previous: tip.previous,
      now: new Date(),
      deadlineMs: CAPTURE_MS,
    });
    const { commit } = taken;
    last = taken;
    // Also where nothing changed: what a `git gc` of the user removed too early is put back.
    await moveCheckpointRef({
      ...place,
      privateDir: places.privateDir,
      commit,
      expected: tip.isOurs ? tip.at : tip.previous,
    }).catch((error: unknown) => tellOnce(`No branch keeps the checkpoint: ${messageOf(error)}`));
    if (commit === session.commit) return taken;
    session.commit = commit;
    session.made += 1;
    await writeSaved(places, session);
    return taken;
  };

  const bundleOf = async (taken: Capture) => {
    const { notCaptured, warnings, commit } = taken;
    const base = whole ? undefined : baseRemote(taken.base);
    // The service is told of no folder: it may be on another machine, or hold others' repositories.
    const remote = base && isPathUrl(base.url) ? undefined : base;
    const worktree = session.worktree ?? '';
    const haves = remote ? await remoteHaves(worktree, remote.name, OWN_MACHINE) : [];
    const found = {
      commit,
      // As many as the service takes; the count of the rest is in the warnings.
      notCaptured: notCaptured.slice(0, MAX_LISTED),
      warnings: warnings.slice(0, MAX_WARNINGS),
    };
    const left = notCaptured.length - MAX_LISTED;
    if (left > 0) found.warnings.push(`${left} more paths were not captured.`);
    try {
      const bundle = await write(commit, haves);
      if (!bundle) return undefined;
      const thin = remote && bundle.prerequisites.length > 0;
      return { files: { ...found, ...(thin && { baseUrl: remote.url }) }, bundle: bundle.file };
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'too_large') throw error;
      tellOnce(`The files of a checkpoint are only on this machine: ${messageOf(error)}`);
      return undefined;
    }
  };

  const write = (commit: string, haves: string[]) =>
    createBundle({
      privateDir: places.privateDir,
      ref: checkpointRef(session.agentName, session.id),
      commit,
      file: join(places.outbox, `${commit}.making`),
      haves,
      maxBytes: options.maxBundleBytes,
    });

  return {
    save(trigger) {
      const asked = performance.now();
      const run = tail
        .then(() => save(trigger))
        .catch((error: unknown) => tellOnce(`Not saved: ${messageOf(error)}`));
      tail = run;
      return run.then(() => performance.now() - asked);
    },
    last: () => last,
    makeWhole({ files }) {
      whole = true;
      // In turn with captures: both move the branch in the private git directory.
      const run = tail
        .then(() => (files ? write(files.commit, []) : null))
        .then((bundle) => bundle?.file)
        .catch((error: unknown) => void tellOnce(`Not sent: ${messageOf(error)}`));
      tail = run;
      return run;
    },
  };
}

/** What the service takes with one checkpoint. */
const MAX_LISTED = 1000;
const MAX_WARNINGS = 99;
