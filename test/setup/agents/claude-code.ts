import { join } from 'node:path';
import type { Recipe } from './recipe.ts';

export const claudeCode: Recipe = {
  agent: 'claude-code',
  command: [
    'claude',
    '--permission-mode',
    'acceptEdits',
    '--allowedTools=Bash',
    '--model',
    'claude-opus-4-6',
    '--print',
  ],
  prepare: async () => undefined,
  env: ({ modelUrl }) => ({
    ANTHROPIC_BASE_URL: modelUrl,
    ANTHROPIC_API_KEY: 'none',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
  }),
  writeFile: (path, content, worktree) => ({
    tool: 'Write',
    input: { file_path: join(worktree, path), content },
  }),
  shell: (command) => ({ tool: 'Bash', input: { command, description: 'Run it' } }),
  todos: (items) => [
    ...items.map(({ text }) => ({
      tool: 'TaskCreate',
      input: { subject: text, description: text },
    })),
    ...items.flatMap(({ status }, n) =>
      status === 'pending'
        ? []
        : [{ tool: 'TaskUpdate', input: { taskId: String(n + 1), status } }],
    ),
  ],
  subagent: {
    tool: 'Agent',
    input: { description: 'Look', prompt: 'Look around.', subagent_type: 'general-purpose' },
  },
  failing: { tool: 'Read', input: { file_path: '/no/such/file' } },
};
