import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Recipe } from './recipe.ts';

export const pi: Recipe = {
  agent: 'pi',
  command: ['pi', '--offline', '--provider', 'local', '--model', 'model', '--print'],
  async prepare({ home, modelUrl }) {
    await mkdir(join(home, '.pi/agent'), { recursive: true });
    const provider = {
      baseUrl: `${modelUrl}/v1`,
      api: 'openai-completions',
      apiKey: 'none',
      models: [{ id: 'model' }],
    };
    const models = { providers: { local: provider } };
    await writeFile(join(home, '.pi/agent/models.json'), JSON.stringify(models));
  },
  env: () => ({}),
  writeFile: (path, content) => ({ tool: 'write', input: { path, content } }),
  shell: (command) => ({ tool: 'bash', input: { command } }),
  failing: { tool: 'read', input: { path: 'no-such-file' } },
};
