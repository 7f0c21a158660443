import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { adapterOf } from '../../src/adapters/adapter.ts';
import { type AgentEvent, AGENTS } from '../../src/adapters/event.ts';
import { readReasoning } from '../../src/adapters/reasoning.ts';
import { reasoningSchema } from '../../src/services/checkpoints/reasoning.ts';
import {
  hookInputs,
  placeTasks,
  placeTranscript,
  recordedAgents,
  recordedEvents,
} from './recorded.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'defib-adapters-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What the calls of the recording are for each agent: to-dos, one that fails, an edit, a command. */
const CALLS: Record<(typeof recordedAgents)[number], Record<string, boolean>> = {
  'claude-code': { TaskCreate: false, TaskUpdate: false, Read: false, Write: true, Bash: true },
  codex: { update_plan: false, apply_patch: true, Bash: true },
  'gemini-cli': {
    write_todos: false,
    read_file: false,
    write_file: true,
    run_shell_command: true,
  },
  opencode: { todowrite: false, read: false, write: true, bash: true },
  pi: { read: false, write: true, bash: true },
};

describe.each(recordedAgents)('what %s gave to its hooks', (agent) => {
  test('becomes events that say what may have changed files', async () => {
    const events = await recordedEvents(agent);
    const started = events.filter(({ kind }) => kind === 'tool-start');
    const tools = Object.fromEntries(started.map(({ tool, mutating }) => [tool, mutating]));
    expect(tools).toEqual(CALLS[agent]);
    for (const event of events) {
      expect(event).toMatchObject({
        cwd: '/stage/work',
        sessionRef: expect.stringMatching(/\w{8}/),
      });
      expect(event.transcriptPath).toMatch(/^\/stage\/home\//);
    }
  });

  test('tells of the end of each call but the one it died in', async () => {
    const events = await recordedEvents(agent);
    const keys = (kind: string) =>
      events
        .filter((event) => event.kind === kind && event.mutating)
        .map(({ tool, callId }) => `${tool} ${callId}`);
    const [starts, ends] = [keys('tool-start'), keys('tool-end')];
    expect(starts).toEqual([...ends, starts.at(-1)]);
    expect(new Set(starts).size).toBe(starts.length);
  });
});

describe.each(recordedAgents)('the transcript of a killed %s', (agent) => {
  test('shows where it stood', async () => {
    const transcriptPath = placeTranscript(agent, folder);
    if (agent === 'claude-code') {
      placeTasks(folder, [
        { subject: 'write the file', status: 'completed' },
        { subject: 'run the command', status: 'in_progress' },
        { subject: 'tell of it', status: 'pending' },
      ]);
    }
    const events = await recordedEvents(agent);
    const { sessionRef } = events[0]!;
    const reasoning = await readReasoning(agent, { sessionRef, transcriptPath }, events);

    expect(reasoningSchema.parse(reasoning)).toEqual(reasoning);
    expect(reasoning).toMatchObject({
      decisions: [{ what: 'write it by hand', why: 'it is short.' }],
      pendingToolCalls: [{ tool: expect.stringMatching(/bash|exec_command|shell/i) }],
    });
    const [pending] = reasoning!.pendingToolCalls!;
    expect(JSON.stringify(pending!.input)).toContain('touch started');
    expect(pending!.startedAt).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(reasoning!.transcriptTail).toMatch(/^user: "?Make made\.txt\."?\nagent: Decision: /);
    expect(reasoning!.transcriptTail).toContain('agent: Now the command.\nagent calls ');
    // Pi keeps no list of what is to be done.
    if (agent === 'pi') return;
    expect(reasoning).toMatchObject({
      done: ['write the file'],
      remaining: ['run the command', 'tell of it'],
      nextStep: 'run the command',
    });
  });
});

describe.each(AGENTS)('%s', (agent) => {
  test('makes nothing of input that is not its own', async () => {
    const { event } = await adapterOf(agent);
    for (const input of [{}, { kind: 1 }, { hook_event_name: 'Nonsense' }, { kind: 'nonsense' }]) {
      expect(event(input)).toBeUndefined();
    }
  });

  test('takes fields of the wrong kind as missing', async () => {
    const { event } = await adapterOf(agent);
    const name = { 'claude-code': 'Stop', codex: 'Stop', 'gemini-cli': 'AfterAgent' };
    const hook_event_name = Object.entries(name).find(([key]) => key === agent)?.[1];
    expect(
      event({ hook_event_name, kind: 'stop', session_id: 7, sessionRef: 7, cwd: {}, at: 'soon' }),
    ).toEqual({ kind: 'stop', sessionRef: '', cwd: process.cwd(), mutating: false });
  });

  test('has no reasoning where there is no transcript', async () => {
    const ref = { sessionRef: 'none' };
    expect(await readReasoning(agent, ref)).toBeUndefined();
    const transcriptPath = join(folder, 'missing');
    expect(await readReasoning(agent, { ...ref, transcriptPath })).toBeUndefined();
  });
});

test.each(recordedAgents.filter((agent) => agent !== 'opencode'))(
  'a transcript of %s that is cut anywhere is read as far as it goes',
  async (agent) => {
    const transcriptPath = placeTranscript(agent, folder);
    const whole = await readFile(transcriptPath);
    const ref = { sessionRef: 'x', transcriptPath };
    for (let size = 0; size < whole.length; size += 97) {
      await writeFile(transcriptPath, whole.subarray(0, size));
      const reasoning = await readReasoning(agent, ref);
      if (reasoning) reasoningSchema.parse(reasoning);
    }
  },
);

test.each(recordedAgents.filter((agent) => agent !== 'opencode'))(
  'lines of %s with fields of the wrong kind are left out',
  async (agent) => {
    const transcriptPath = placeTranscript(agent, folder);
    const lines = (await readFile(transcriptPath, 'utf8')).trim().split('\n');
    const broken = lines.flatMap((line) =>
      [1, null, [], 'text', {}].map((junk) => JSON.stringify(corrupted(JSON.parse(line), junk))),
    );
    await writeFile(transcriptPath, `${broken.join('\n')}\n`);
    const reasoning = await readReasoning(agent, { sessionRef: 'x', transcriptPath });
    if (reasoning) reasoningSchema.parse(reasoning);
  },
);

/** The same JSON, with junk where the first list or text of it is. */
function corrupted(value: unknown, junk: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return junk;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      key === 'text' || key === 'arguments' ? junk : corrupted(inner, junk),
    ]),
  );
}

test('Claude Code from before its task list keeps to-dos and plans in calls', async () => {
  const call = (name: string, input: unknown) =>
    JSON.stringify({
      type: 'assistant',
      message: { content: [{ type: 'tool_use', id: name, name, input }] },
    });
  const transcriptPath = join(folder, 'session.jsonl');
  const todos = [
    { content: 'first', status: 'completed' },
    { content: 'second', status: 'pending' },
  ];
  const lines = [call('TodoWrite', { todos }), call('ExitPlanMode', { plan: 'Do it well.' })];
  await writeFile(transcriptPath, lines.join('\n'));
  expect(await readReasoning('claude-code', { sessionRef: 'x', transcriptPath })).toMatchObject({
    approach: 'Do it well.',
    done: ['first'],
    remaining: ['second'],
  });
});

test('a call that has ended is not pending, though the transcript does not have it yet', async () => {
  const transcriptPath = placeTranscript('pi', folder);
  const events = await recordedEvents('pi');
  const last = events.findLast(({ kind }) => kind === 'tool-start')!;
  const ended: AgentEvent = { ...last, kind: 'tool-end' };
  const reasoning = await readReasoning('pi', { sessionRef: 'x', transcriptPath }, [ended]);
  expect(reasoning).not.toHaveProperty('pendingToolCalls');
});

test('a generic agent sends the neutral event itself', async () => {
  const { event } = await adapterOf('generic');
  const sent = {
    kind: 'tool-end',
    sessionRef: 's',
    cwd: '/w',
    tool: 'deploy',
    callId: '1',
    input: { to: 'staging' },
    at: '2026-01-02T03:04:05.000Z',
  };
  expect(event(sent)).toEqual({ ...sent, mutating: true });
});

test('long and deep arguments are shortened', async () => {
  const { event } = await adapterOf('claude-code');
  const shortened = (input: unknown) =>
    event({ ...hookInputs('claude-code')[0], tool_input: input })?.input;
  const long = shortened({ content: 'é'.repeat(1_000_000) });
  expect(String(long)).toHaveLength(4000);
  const deep = JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`) as unknown;
  expect(shortened(deep)).toBe(JSON.stringify(deep));
});
