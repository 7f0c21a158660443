import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Recipe } from './recipe.ts';

export const codex: Recipe = {
  agent: 'codex',
  command: ['codex', 'exec', '--sandbox', 'danger-full-access', '--dangerously-bypass-hook-trust'],
  async prepare({ home, worktree, modelUrl }) {
    await mkdir(join(home, '.codex'), { recursive: true });
    await writeFile(join(home, '.codex/config.toml'), config(worktree, modelUrl));
  },
  env: () => ({ LOCAL_MODEL_KEY: 'none' }),
  writeFile: (path, content) => ({
    tool: 'apply_patch',
    input: `*** Begin Patch\n*** Add File: ${path}\n${added(content)}*** End Patch\n`,
  }),
  shell: (cmd) => ({ tool: 'exec_command', input: { cmd, yield_time_ms: 30_000 } }),
  todos: (items) => [
    {
      tool: 'update_plan',
      input: { plan: items.map(({ text, status }) => ({ step: text, status })) },
    },
  ],
  failing: { tool: 'exec_command', input: { cmd: 'cat /no/such/file' } },
};

const added = (content: string) => content.replaceAll(/.*\n/g, '+$&');

/** A model that Codex knows, so that it offers its own editing tool. */
const config = (worktree: string, modelUrl: string) => `
model = "gpt-5.5"
model_provider = "local"
check_for_update_on_startup = false

[analytics]
enabled = false

[tools.update_plan]
enabled = true

[model_providers.local]
name = "local"
base_url = "${modelUrl}/v1"
env_key = "LOCAL_MODEL_KEY"
wire_api = "responses"

[projects."${worktree}"]
trust_level = "trusted"
`;
