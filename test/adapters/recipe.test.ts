import { describe, expect, it } from 'vitest';
import { agentIn, recipeOf } from '../../src/adapters/recipe.ts';

/** The command as words; `{prompt}` is where the next prompt goes, `“…”` one word. */
const words = (line: string): string[] =>
  [...line.matchAll(/“([^”]*)”|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');

const cases: [command: string, prompt: string | undefined, next: string][] = [
  // Claude Code
  ['claude -p “fix #42”', 'fix #42', 'claude -p -- {prompt}'],
  [
    'claude --model opus -p “fix it” --allowedTools Bash Edit',
    'fix it',
    'claude --model opus -p --allowedTools Bash Edit -- {prompt}',
  ],
  [
    'claude -p --allowedTools Bash -- “fix it”',
    'fix it',
    'claude -p --allowedTools Bash -- {prompt}',
  ],
  ['claude', undefined, 'claude -- {prompt}'],
  ['claude “look here”', 'look here', 'claude -- {prompt}'],
  ['claude -c -p go', 'go', 'claude -p -- {prompt}'],
  ['claude --resume 1-2-3 --session-id=4 -p go', 'go', 'claude -p -- {prompt}'],
  ['/opt/bin/claude --new-option x -p go', 'go', '/opt/bin/claude --new-option x -p -- {prompt}'],
  ['claude --new-switch go', 'go', 'claude --new-switch -- {prompt}'],
  ['env A=b claude -p go', 'go', 'env A=b claude -p -- {prompt}'],
  [
    'npx -y @anthropic-ai/claude-code@latest -p go',
    'go',
    'npx -y @anthropic-ai/claude-code@latest -p -- {prompt}',
  ],
  // Codex
  [
    'codex -m gpt-5.5 exec --sandbox workspace-write “fix it”',
    'fix it',
    'codex -m gpt-5.5 exec --sandbox workspace-write -- {prompt}',
  ],
  ['codex exec - --json', undefined, 'codex exec --json -- {prompt}'],
  ['codex “fix it” --full-auto', 'fix it', 'codex --full-auto -- {prompt}'],
  [
    'codex exec -i a.png b.png -- “what is this”',
    'what is this',
    'codex exec -i a.png b.png -- {prompt}',
  ],
  // Gemini CLI
  [
    'gemini --approval-mode yolo -p “fix it”',
    'fix it',
    'gemini --approval-mode yolo --prompt={prompt}',
  ],
  ['gemini --prompt=-x -m pro', '-x', 'gemini -m pro --prompt={prompt}'],
  ['gemini -i “fix it” -r latest', 'fix it', 'gemini --prompt-interactive={prompt}'],
  ['gemini fix it', 'fix it', 'gemini --prompt={prompt}'],
  // OpenCode
  ['opencode run -m a/b fix it', 'fix it', 'opencode run -m a/b -- {prompt}'],
  ['opencode run --continue --command mend it', '/mend it', 'opencode run -- {prompt}'],
  ['opencode sub --prompt “fix it”', 'fix it', 'opencode sub --prompt={prompt}'],
  // pi
  ['pi --provider x --print “fix it”', 'fix it', 'pi --provider x --print {prompt}'],
  ['pi @notes.md -p “fix it” --model y -c', 'fix it', 'pi @notes.md -p {prompt} --model y'],
  ['pi -p', undefined, 'pi -p {prompt}'],
];

describe('the recipe of a command', () => {
  it.each(cases)('%s', async (command, prompt, next) => {
    const recipe = await recipeOf(words(command), false);
    expect(recipe?.prompt).toBe(prompt);
    const made = recipe
      ?.withPrompt('<!-- more -->')
      .map((word) => word.replace('<!-- more -->', '{prompt}'));
    expect(made).toEqual(words(next));
  });

  it('stays on the terminal where the agent was there', async () => {
    const recipe = await recipeOf(['gemini', 'fix it'], true);
    expect(recipe?.withPrompt('more')).toEqual(['gemini', '--prompt-interactive=more']);
  });

  it.each([
    'claude mcp list',
    'claude -p --input-format stream-json',
    'codex exec resume --last “go on”',
    'codex login',
    'gemini extensions list',
    'opencode serve',
    'pi --mode rpc',
    'sh -c claude',
    'make claude',
  ])('there is none for %s', async (command) => {
    expect(await recipeOf(words(command), false)).toBeUndefined();
  });

  it('finds the agent behind what runs it', () => {
    expect(agentIn(['nice', '-n', '5', '/usr/bin/codex', 'exec'])).toEqual({
      agent: 'codex',
      at: 3,
    });
    expect(agentIn([])).toBeUndefined();
  });
});
