import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createBundle, remoteHaves } from '../../src/services/git/bundle.ts';
import { capture } from '../../src/services/git/capture.ts';
import { checkpointRef } from '../../src/services/git/names.ts';
import type { Answer } from './service.ts';

export type Saved = { commit: string; tree: string; bundle: Buffer };

/** What an agent on any machine does: captures its worktree, and makes a bundle of it. */
export async function bundleOf(
  worktree: string,
  session: { id: string },
  options: { thin?: boolean; previous?: string | null; number?: number; agentName?: string } = {},
): Promise<Saved> {
  const { thin = false, previous = null, number = 1, agentName = 'builder' } = options;
  const roots = [dirname(worktree)];
  const folder = mkdtempSync(join(dirname(worktree), 'private-'));
  try {
    const privateDir = join(folder, 'git');
    const common = { worktree, privateDir, policy: { roots } };
    const { commit, tree } = await capture({
      ...common,
      agentName,
      sessionId: session.id,
      number,
      previous,
      now: new Date(),
      minFreeBytes: 0,
    });
    const bundle = await createBundle({
      privateDir,
      ref: checkpointRef(agentName, session.id),
      commit,
      file: join(folder, 'bundle'),
      haves: thin ? await remoteHaves(worktree, 'origin', { roots }) : [],
      maxBytes: 64 * 1024 * 1024,
    });
    return { commit, tree, bundle: readFileSync(bundle?.file ?? '') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Sends a checkpoint as multipart/form-data; a part that is undefined is left out. */
export async function upload(
  flow: { service: { url: string } },
  session: { id: string; token: string },
  parts: { meta?: object | string | Buffer; bundle?: Buffer },
  headers: Record<string, string> = {},
): Promise<Answer> {
  const form = new FormData();
  const { meta, bundle } = parts;
  if (meta !== undefined) {
    const plain = typeof meta === 'string' || Buffer.isBuffer(meta);
    form.set('meta', new Blob([plain ? new Uint8Array(Buffer.from(meta)) : JSON.stringify(meta)]));
  }
  if (bundle) form.set('bundle', new Blob([new Uint8Array(bundle)]), 'checkpoint.bundle');
  const response = await fetch(`${flow.service.url}/api/sessions/${session.id}/checkpoints`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${session.token}`, ...headers },
    body: form,
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: JSON.parse(text), text };
}
