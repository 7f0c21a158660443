import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgentEvent } from '../../src/adapters/event.ts';
import { readReasoning } from '../../src/adapters/reasoning.ts';
import { takeEvents } from '../../src/adapters/spool.ts';
import { agentsAreInstalled } from '../setup/agents/installed.ts';
import { recipes, runAgent, type Stage, startStage } from '../setup/agents/run.ts';
import { until } from '../setup/until.ts';

const run = promisify(execFile);

// Two loaded cores start these programs slowly.
const PATIENCE_MS = 180_000;

/** With all that a shell, a terminal or an option parser could stumble over. */
const PROMPT = `# Continue: make made.txt

- the "old" way was \`cp $HOME/*\` & failed
  --all 'quotes' \\ and ümläuts
`;

const todos = [
  { text: 'write the file', status: 'completed' as const },
  { text: 'run the command', status: 'in_progress' as const },
  { text: 'tell of it', status: 'pending' as const },
];

describe.skipIf(!agentsAreInstalled()).each(recipes)('the real $agent', (recipe) => {
  let stage: Stage;
  let worktree: string;
  let session: string;
  let events: AgentEvent[];

  beforeEach(async () => {
    stage = await startStage();
    worktree = join(stage.root, 'work');
    session = join(stage.root, 'session');
    events = [];
    await Promise.all([mkdir(session), mkdir(worktree)]);
    await run('git', ['init', '--quiet', worktree]);
    await writeFile(join(worktree, 'README.md'), 'A project.\n');
    await stage.prepare(recipe, worktree);
    await run(join(stage.root, 'bin/defib'), ['init', recipe.agent, '--yes'], {
      cwd: worktree,
      env: stage.env(recipe, worktree),
    });
  });
  afterEach(() => stage.close());

  /** Plugins do not wait for their hooks, so events may come after the agent has ended. */
  const untilEvent = (what: string, isIt: (event: AgentEvent) => boolean) =>
    until(
      what,
      () => {
        events.push(...takeEvents(session));
        return events.find(isIt);
      },
      PATIENCE_MS / 2,
    );

  const reasoningNow = () => {
    const { sessionRef, transcriptPath } = events[0]!;
    return readReasoning(recipe.agent, { sessionRef, transcriptPath }, events);
  };

  test(
    'works offline on a prompt, edits, runs a command, and tells its session of it',
    { timeout: PATIENCE_MS },
    async () => {
      stage.model.say(
        { text: 'First what is to be done.', calls: recipe.todos?.(todos) ?? [recipe.failing] },
        { calls: [recipe.failing] },
        { calls: [recipe.writeFile('made.txt', 'made\n', worktree)] },
        { calls: [recipe.shell('echo ran > ran.txt')] },
        { text: 'Decision: no tests, because it is short.\n\nShall I commit?' },
      );

      const { code, output } = await runAgent(stage, recipe, {
        worktree,
        prompt: PROMPT,
        env: { DEFIB_SESSION_DIR: session },
      });

      expect(code, output).toBe(0);
      expect(await readFile(join(worktree, 'made.txt'), 'utf8')).toBe('made\n');
      expect(await readFile(join(worktree, 'ran.txt'), 'utf8')).toBe('ran\n');
      expect(stage.model.requests).toHaveLength(5);
      const [first] = stage.model.requests;
      const input = first!.input.map(({ text }) => text).join('\n');
      for (const line of PROMPT.trim().split('\n')) {
        // OpenCode puts backslashes before the quotes of an argument.
        expect(input.replaceAll('\\"', '"')).toContain(line);
      }

      await untilEvent('it has stopped', ({ kind }) => kind === 'stop');
      // Some agents do not wait for their hooks, so the last event need not come last.
      for (const what of ['made.txt', 'echo ran']) {
        await untilEvent(
          `a call with ${what} was told`,
          ({ mutating, input }) => mutating && JSON.stringify(input)?.includes(what) === true,
        );
      }
      await until('the ends of two calls were told', () => {
        events.push(...takeEvents(session));
        return events.filter(({ kind, mutating }) => mutating && kind === 'tool-end').length >= 2;
      });
      const mutating = events.filter((event) => event.mutating);
      const edit = mutating.filter(({ input }) => JSON.stringify(input)?.includes('made.txt'));
      const command = mutating.filter(({ input }) => JSON.stringify(input)?.includes('echo ran'));
      for (const [start, end] of [edit, command]) {
        expect(start).toMatchObject({ kind: 'tool-start', agent: recipe.agent, cwd: worktree });
        if (end) expect(end).toMatchObject({ kind: 'tool-end', tool: start!.tool });
      }
      expect(mutating.filter(({ kind }) => kind === 'tool-end').length).toBeGreaterThanOrEqual(2);
      expect(existsSync(join(session, 'hook.log'))).toBe(false);

      const reasoning = await reasoningNow();
      expect(reasoning).toMatchObject({
        decisions: [{ what: 'no tests', why: 'it is short.' }],
        openQuestions: ['Shall I commit?'],
        ...(recipe.todos && {
          done: ['write the file'],
          remaining: ['run the command', 'tell of it'],
          nextStep: 'run the command',
        }),
      });
      expect(reasoning).not.toHaveProperty('pendingToolCalls');
    },
  );

  const { subagent } = recipe;
  if (subagent)
    test('tells what a subagent does as its own', { timeout: PATIENCE_MS }, async () => {
      stage.model.say(
        { calls: [subagent] },
        { calls: [recipe.shell('echo sub > ran.txt')] },
        { text: 'I have looked.' },
        { text: 'All done.' },
      );
      const env = { DEFIB_SESSION_DIR: session };
      const { code, output } = await runAgent(stage, recipe, { worktree, prompt: PROMPT, env });
      expect(code, output).toBe(0);
      await untilEvent('it has stopped', ({ kind }) => kind === 'stop');
      await untilEvent('the command is told', ({ kind, input }) =>
        Boolean(kind === 'tool-end' && JSON.stringify(input)?.includes('echo sub')),
      );
      expect(new Set(events.map(({ sessionRef }) => sessionRef)).size).toBe(1);
      expect(JSON.stringify((await reasoningNow())?.transcriptTail)).toContain(subagent.tool);
    });

  test(
    'killed while a command runs, leaves a call whose outcome is not known',
    { timeout: PATIENCE_MS },
    async () => {
      const endless = 'touch started && while [ -e started ]; do sleep 1; done';
      stage.model.say({ text: 'Now the command.', calls: [recipe.shell(endless)] });
      const [command = '', ...args] = [...stage.command(recipe), PROMPT];
      const agent = spawn(command, args, {
        cwd: worktree,
        env: { ...stage.env(recipe, worktree), DEFIB_SESSION_DIR: session },
        stdio: 'ignore',
        detached: true,
      });
      try {
        await until('the command runs', () => existsSync(join(worktree, 'started')), PATIENCE_MS);
        await untilEvent('the call has begun', ({ kind }) => kind === 'tool-start');
      } finally {
        process.kill(-agent.pid!, 'SIGKILL');
        await once(agent, 'close');
      }
      const { pendingToolCalls, transcriptTail } = (await reasoningNow())!;
      expect(pendingToolCalls).toHaveLength(1);
      expect(JSON.stringify(pendingToolCalls)).toContain('touch started');
      expect(transcriptTail).toContain('agent: Now the command.');
    },
  );
});
