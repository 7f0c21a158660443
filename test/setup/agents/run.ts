import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DEFIB } from '../../../src/cli/frame/self.ts';
import { type ModelServer, startModelServer } from '../models/server.ts';
import { claudeCode } from './claude-code.ts';
import { codex } from './codex.ts';
import { geminiCli } from './gemini-cli.ts';
import { agentBin } from './installed.ts';
import { openCode } from './opencode.ts';
import { pi } from './pi.ts';
import type { Place, Recipe } from './recipe.ts';

export const recipes: Recipe[] = [claudeCode, codex, geminiCli, openCode, pi];

/** A home, a model, and a `defib` on the path: what an agent needs to run offline. */
export type Stage = {
  root: string;
  home: string;
  model: ModelServer;
  /** All of the agent's environment, for this worktree. */
  env(recipe: Recipe, worktree: string): Record<string, string>;
  /** Command and arguments of the agent; the prompt is to be added. */
  command(recipe: Recipe): string[];
  prepare(recipe: Recipe, worktree: string): Promise<void>;
  close(): Promise<void>;
};

export async function startStage(): Promise<Stage> {
  const root = await mkdtemp(join(tmpdir(), 'defib-agent-'));
  const [home, bin] = [join(root, 'home'), join(root, 'bin')];
  await Promise.all([mkdir(home), mkdir(bin)]);
  await writeFile(join(bin, 'defib'), DEFIB_COMMAND);
  await chmod(join(bin, 'defib'), 0o755);
  const model = await startModelServer();
  const place = (worktree: string): Place => ({ home, worktree, modelUrl: model.url });
  return {
    root,
    home,
    model,
    env: (recipe, worktree) => ({
      HOME: home,
      PATH: [bin, dirname(process.execPath), '/usr/bin', '/bin'].join(':'),
      TERM: 'dumb',
      ...recipe.env(place(worktree)),
    }),
    command: ({ command: [name = '', ...args] }) => [agentBin(name), ...args],
    prepare: (recipe, worktree) => recipe.prepare(place(worktree)),
    async close() {
      await model.close();
      await rm(root, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** The command as a user has it, run from the sources. */
const DEFIB_COMMAND = `#!/bin/sh
exec '${process.execPath}' '${DEFIB}' "$@"
`;

export type Finished = { code: number | null; output: string };

/** Runs the agent on a prompt, to its end. */
export async function runAgent(
  stage: Stage,
  recipe: Recipe,
  request: { worktree: string; prompt: string; env?: Record<string, string> },
): Promise<Finished> {
  const [command = '', ...args] = [...stage.command(recipe), request.prompt];
  const child = spawn(command, args, {
    cwd: request.worktree,
    env: { ...stage.env(recipe, request.worktree), ...request.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const collect = (chunk: Buffer) => void (output += chunk.toString());
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}
