import { execFile } from 'node:child_process';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { claudeCode } from '../setup/agents/claude-code.ts';
import { codex } from '../setup/agents/codex.ts';
import { geminiCli } from '../setup/agents/gemini-cli.ts';
import { agentsAreInstalled } from '../setup/agents/installed.ts';
import { openCode } from '../setup/agents/opencode.ts';
import type { Recipe } from '../setup/agents/recipe.ts';
import { runAgent, type Stage, startStage } from '../setup/agents/run.ts';
import { startService, type TestService } from '../setup/service.ts';

const run = promisify(execFile);

// Two loaded cores start these programs slowly.
const PATIENCE_MS = 120_000;

type Place = { home: string; worktree: string; url: string };
type Case = {
  recipe: Recipe;
  transport: string;
  /** What the agent calls a tool of ours. */
  tool(name: string): { tool: string; namespace?: string };
  /** As docs/agents.md tells its users. */
  settings(place: Place): Promise<void>;
};

const json = async (path: string, content: object) => {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, JSON.stringify(content));
};

/** The project names the server, and its user allows it. */
const claude = (transport: string, server: (url: string) => object): Case => ({
  recipe: claudeCode,
  transport,
  tool: (name) => ({ tool: `mcp__defib__${name}` }),
  async settings({ home, worktree, url }) {
    await json(join(worktree, '.mcp.json'), { mcpServers: { defib: server(url) } });
    await json(join(home, '.claude/settings.json'), {
      enabledMcpjsonServers: ['defib'],
      permissions: { allow: ['mcp__defib'] },
    });
  },
});

const cases: Case[] = [
  claude('stdio', () => ({ command: 'defib', args: ['mcp'] })),
  claude('HTTP', (url) => ({
    type: 'http',
    url: `${url}/mcp`,
    headers: { Authorization: 'Bearer ${DEFIB_SESSION_TOKEN}' },
  })),
  {
    recipe: codex,
    transport: 'stdio',
    tool: (name) => ({ tool: name, namespace: 'mcp__defib' }),
    settings: ({ home }) =>
      appendFile(
        join(home, '.codex/config.toml'),
        `
[mcp_servers.defib]
command = "defib"
args = ["mcp"]
env_vars = ["DEFIB_URL", "DEFIB_SESSION_ID", "DEFIB_SESSION_TOKEN"]
`,
      ),
  },
  {
    recipe: geminiCli,
    transport: 'stdio',
    tool: (name) => ({ tool: `mcp_defib_${name}` }),
    settings: ({ worktree }) =>
      json(join(worktree, '.gemini/settings.json'), {
        mcpServers: {
          defib: {
            command: 'defib',
            args: ['mcp'],
            env: {
              DEFIB_URL: '$DEFIB_URL',
              DEFIB_SESSION_ID: '$DEFIB_SESSION_ID',
              DEFIB_SESSION_TOKEN: '$DEFIB_SESSION_TOKEN',
            },
          },
        },
      }),
  },
  {
    recipe: openCode,
    transport: 'stdio',
    tool: (name) => ({ tool: `defib_${name}` }),
    settings: ({ worktree }) =>
      json(join(worktree, 'opencode.json'), {
        mcp: { defib: { type: 'local', command: ['defib', 'mcp'] } },
      }),
  },
];

describe.skipIf(!agentsAreInstalled()).each(cases)(
  'the real $recipe.agent over $transport',
  ({ recipe, tool, settings }) => {
    let stage: Stage;
    let service: TestService;
    let worktree: string;
    beforeEach(async () => {
      [stage, service] = await Promise.all([startStage(), startService('postgres')]);
      worktree = join(stage.root, 'work');
      await mkdir(worktree);
      await run('git', ['init', '--quiet', worktree]);
      await stage.prepare(recipe, worktree);
      await settings({ home: stage.home, worktree, url: service.url });
    });
    afterEach(async () => {
      await stage.close();
      await service.stop();
    });

    const startSession = async () => {
      const token = await service.agentToken('builder');
      const body = { objective: 'make it', leaseSeconds: 600 };
      return (await service.call('POST', '/api/agents/builder/sessions', { token, body })).body;
    };

    test(
      'calls heartbeat, checkpoint and finish, and its model sees the answers',
      { timeout: PATIENCE_MS },
      async () => {
        const { session, token } = await startSession();
        const reasoning = { done: ['the plan'], nextStep: 'write made.txt' };
        stage.model.say(
          { calls: [{ ...tool('heartbeat'), input: { turn: 1 } }] },
          { calls: [{ ...tool('checkpoint'), input: { ...reasoning, trigger: 'plan' } }] },
          { calls: [{ ...tool('finish'), input: { outcome: 'completed' } }] },
          { text: 'That is all.' },
        );

        const { code, output } = await runAgent(stage, recipe, {
          worktree,
          prompt: 'Make it.',
          env: {
            DEFIB_URL: service.url,
            DEFIB_SESSION_ID: session.id,
            DEFIB_SESSION_TOKEN: token,
          },
        });

        expect(code, output).toBe(0);
        const heard = stage.model.requests
          .at(-1)!
          .input.map(({ text }) => text)
          .join('\n');
        expect(heard, output).toMatch(/again within \d+ s[^]*not your files[^]*session is over/);
        const { body } = await service.call('GET', `/api/sessions/${session.id}/checkpoints`);
        expect(body.items).toMatchObject([{ trigger: 'plan', reasoning }]);
        expect((await service.call('GET', `/api/sessions/${session.id}`)).body).toMatchObject({
          status: 'completed',
          turn: 1,
        });
      },
    );
  },
);
