import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Recipe } from './recipe.ts';

export const openCode: Recipe = {
  agent: 'opencode',
  command: ['opencode', 'run'],
  async prepare({ home, modelUrl }) {
    await mkdir(join(home, '.config/opencode'), { recursive: true });
    await writeFile(join(home, '.config/opencode/opencode.json'), config(modelUrl));
  },
  env: ({ modelUrl }) => ({
    OPENCODE_DISABLE_AUTOUPDATE: '1',
    OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
    OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
    OPENCODE_DISABLE_MODELS_FETCH: '1',
    // It asks npm for types for plugins; a plain "not found" spares it its retries of over a minute.
    npm_config_registry: `${modelUrl}/npm/`,
  }),
  writeFile: (path, content, worktree) => ({
    tool: 'write',
    input: { filePath: join(worktree, path), content },
  }),
  shell: (command) => ({ tool: 'bash', input: { command, description: 'Run it' } }),
  todos: (items) => [
    {
      tool: 'todowrite',
      input: {
        todos: items.map(({ text, status }, n) => ({
          id: String(n + 1),
          content: text,
          status,
          priority: 'medium',
        })),
      },
    },
  ],
  subagent: {
    tool: 'task',
    input: { description: 'Look', prompt: 'Look around.', subagent_type: 'general' },
  },
  failing: { tool: 'read', input: { filePath: 'no-such-file' } },
};

const config = (modelUrl: string) =>
  JSON.stringify({
    autoupdate: false,
    share: 'disabled',
    model: 'local/model',
    small_model: 'local/model',
    enabled_providers: ['local'],
    provider: {
      local: {
        npm: '@ai-sdk/openai-compatible',
        options: { baseURL: `${modelUrl}/v1`, apiKey: 'none' },
        models: { model: { tool_call: true, limit: { context: 100_000, output: 8000 } } },
      },
    },
  });
