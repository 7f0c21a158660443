import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { AgentEvent } from '../../src/adapters/event.ts';
import { putEvent } from '../../src/adapters/spool.ts';
import { watchAgent } from '../../src/cli/run/agent.ts';

it('keeps calls of unknown outcome that were open when the agent began to be stopped', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'defib-watch-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const agent = watchAgent(folder, 0);
  const tell = (kind: AgentEvent['kind'], tool: string, callId: string) => {
    const at = new Date().toISOString();
    const event = { agent: 'generic', kind, tool, callId, at, sessionRef: 's', cwd: '/' } as const;
    putEvent(folder, { ...event, mutating: true });
    agent.look();
  };
  const pending = async () =>
    (await agent.readReasoning())?.pendingToolCalls?.map(({ tool }) => tool) ?? [];

  tell('tool-start', 'deploy', '1');
  tell('tool-start', 'build', '2');
  tell('tool-end', 'build', '2');
  await agent.holdOpenCalls();
  // What the agent says of it while it is ended: nobody knows whether that is true.
  tell('tool-end', 'deploy', '1');
  expect(await pending()).toEqual(['deploy']);
  tell('tool-start', 'notify', '3');
  expect(await pending()).toEqual(['deploy', 'notify']);
});
