import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { agentsAreInstalled } from '../setup/agents/installed.ts';
import { recipes, type Stage, startStage } from '../setup/agents/run.ts';
import { defib, type RunningDefib, startDefib } from '../setup/defib.ts';
import { checkpointBranches, type Resumable, startResumable } from '../setup/resumable.ts';
import { until } from '../setup/until.ts';

// Two loaded cores start these programs slowly.
const PATIENCE_MS = 240_000;

// The supervisor learns of a changed limit with its next beat, a third of the lease later, and saves
// eleven seconds before the end.
const LEASE_SECONDS = 24;
const LIMIT_SECONDS = 20;

describe.skipIf(!agentsAreInstalled()).each(recipes)('the real $agent', (recipe) => {
  let stage: Stage;
  let flow: Resumable;
  let running: RunningDefib | undefined;
  beforeEach(async () => {
    stage = await startStage();
    flow = await startResumable('postgres');
  });
  afterEach(async () => {
    running?.send('SIGKILL');
    await flow.stop();
    await stage.close();
  });

  /** The first attempt writes a file, and is thinking when its time is up; the second one goes on to the end. */
  async function twoAttempts(options: string[], spawner?: object) {
    const { worktree } = flow.clone('app');
    await stage.prepare(recipe, worktree);
    const env = stage.env(recipe, worktree);
    // The agents look for their settings at home.
    const atHome = { XDG_CONFIG_HOME: undefined, XDG_DATA_HOME: undefined };
    await defib(['init', recipe.agent, '--user', '--yes'], { env: { ...env, ...atHome } });
    const agentCommand = [
      '/usr/bin/env',
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
      ...stage.command(recipe),
    ];
    const command = [...agentCommand, '{prompt}'];
    const policy = {
      leaseSeconds: LEASE_SECONDS,
      ...(spawner && { spawner: { ...spawner, command } }),
    };
    await flow.service.call('PUT', '/api/agents/builder', { body: { policy } });

    const { promise: forEver, resolve: letGo } = Promise.withResolvers<void>();
    stage.model.say(
      {
        text: 'Decision: two files, because one is not enough.',
        calls: recipe.todos?.([
          { text: 'write made.txt', status: 'completed' },
          { text: 'write ran.txt', status: 'in_progress' },
        ]) ?? [recipe.failing],
      },
      { calls: [recipe.writeFile('made.txt', 'made\n', worktree)] },
      { hold: forEver },
    );
    const args = ['run', '--grace=1', '--objective=make two files', ...options];
    running = startDefib([...args, '--', ...agentCommand, 'Make two files.'], {
      cwd: worktree,
      env: {
        DEFIB_URL: flow.service.url,
        DEFIB_TOKEN: flow.agent,
        DEFIB_AGENT: 'builder',
        DEFIB_HOSTNAME: 'here',
        HOME: stage.home,
        ...atHome,
      },
    });
    const thinking = () => stage.model.requests.length === 3;
    await until('the model is thinking', thinking, PATIENCE_MS / 3);
    const [first] = (await flow.service.call('GET', '/api/sessions')).body.items;
    stage.model.say(
      { calls: [recipe.shell('cat made.txt > ran.txt')] },
      { text: 'Both files are there.' },
    );
    await flow.endsIn(first.id, LIMIT_SECONDS);
    const second = await until('it goes on', () => stage.model.requests.at(3), PATIENCE_MS / 3);
    letGo();
    const prompt = second.input.map(({ text }) => text).join('\n');
    expect(prompt).toContain('Continue: attempt 2');
    expect(prompt).toContain('it reached its time limit');
    expect(prompt).toContain('make two files');
    expect(prompt).toContain('one is not enough');
    if (recipe.todos) expect(prompt).toContain('write ran.txt');

    const last = await until(
      'the second attempt is done',
      async () => {
        const { attempts } = await flow.session(first.id);
        return attempts.find(({ status }: { status: string }) => status === 'completed');
      },
      PATIENCE_MS / 3,
    );
    expect(last).toMatchObject({ attempt: 2, resumedFrom: first.id });
    expect(await readFile(join(last.worktree, 'ran.txt'), 'utf8')).toBe('made\n');
    await until('its branches are pruned', () => checkpointBranches(worktree).length === 0);
    return { worktree, last, exit: await running.exited };
  }

  test(
    'goes on by itself at its time limit, in the same worktree',
    { timeout: PATIENCE_MS },
    async () => {
      const { worktree, last, exit } = await twoAttempts([]);
      expect(exit, exit.stderr).toMatchObject({ code: 0 });
      expect(last.worktree).toBe(worktree);
    },
  );

  // How a worker starts an agent is the same for all of them.
  test.skipIf(recipe.agent !== recipes[0]?.agent)(
    'is started by a worker in a new worktree where nobody goes on',
    { timeout: PATIENCE_MS },
    async () => {
      const { worktree, last, exit } = await twoAttempts(['--attempts=1'], { type: 'command' });
      expect(exit).toMatchObject({ code: 124 });
      expect(last.worktree).not.toBe(worktree);
      expect(existsSync(join(worktree, 'ran.txt'))).toBe(false);
    },
  );
});
