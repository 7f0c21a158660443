import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Recipe } from './recipe.ts';

export const geminiCli: Recipe = {
  agent: 'gemini-cli',
  command: ['gemini', '--approval-mode', 'yolo', '--model', 'gemini-2.5-pro', '--prompt'],
  async prepare({ home }) {
    await mkdir(join(home, '.gemini'), { recursive: true });
    const settings = {
      general: { enableAutoUpdate: false, enableAutoUpdateNotification: false },
      privacy: { usageStatisticsEnabled: false },
      security: { auth: { selectedType: 'gemini-api-key' } },
    };
    await writeFile(join(home, '.gemini/settings.json'), JSON.stringify(settings));
  },
  env: ({ modelUrl }) => ({
    GOOGLE_GEMINI_BASE_URL: modelUrl,
    GEMINI_API_KEY: 'none',
    GEMINI_CLI_TRUST_WORKSPACE: 'true',
  }),
  writeFile: (path, content, worktree) => ({
    tool: 'write_file',
    input: { file_path: join(worktree, path), content },
  }),
  shell: (command) => ({ tool: 'run_shell_command', input: { command } }),
  todos: (items) => [
    {
      tool: 'write_todos',
      input: { todos: items.map(({ text, status }) => ({ description: text, status })) },
    },
  ],
  failing: { tool: 'read_file', input: { file_path: 'no-such-file' } },
};
