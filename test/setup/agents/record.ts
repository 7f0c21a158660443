/**
 * Records what real agents give to their hooks and write into their transcripts, for the fixtures:
 *
 *   npm run agents && node test/setup/agents/record.ts
 *
 * Each agent is killed while a shell command of it runs, so that its transcript ends with a call
 * without a result. Paths of this machine and long texts are taken out.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import type { Agent } from '../../../src/adapters/event.ts';
import { until } from '../until.ts';
import type { Recipe } from './recipe.ts';
import { recipes, type Stage, startStage } from './run.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/agents', import.meta.url));

/** Outlives the agent, which runs it in a process group of its own, but not its folder. */
const ENDLESS = 'touch started && while [ -e started ]; do sleep 1; done';

async function record(stage: Stage, recipe: Recipe): Promise<void> {
  const worktree = join(stage.root, 'work');
  const session = join(stage.root, 'session');
  const inputs = join(stage.root, 'hooks.jsonl');
  mkdirSync(session);
  execFileSync('git', ['init', '--quiet', worktree]);
  await stage.prepare(recipe, worktree);
  const env = { ...stage.env(recipe, worktree), DEFIB_SESSION_DIR: session };
  execFileSync(join(stage.root, 'bin/defib'), ['init', recipe.agent, '--yes'], {
    cwd: worktree,
    env,
  });
  writeFileSync(
    join(stage.root, 'bin/defib'),
    `#!/bin/sh\ninput=$(cat)\nprintf '%s\\n' "$input" >> '${inputs}'\n`,
  );

  stage.model.say(
    {
      text: 'Decision: write it by hand, because it is short.',
      calls: recipe.todos?.([
        { text: 'write the file', status: 'completed' },
        { text: 'run the command', status: 'in_progress' },
        { text: 'tell of it', status: 'pending' },
      ]) ?? [recipe.failing],
    },
    { calls: [recipe.failing] },
    { calls: [recipe.writeFile('made.txt', 'made\n', worktree)] },
    { text: 'Now the command.', calls: [recipe.shell(ENDLESS)] },
  );
  const [command = '', ...args] = [...stage.command(recipe), 'Make made.txt.'];
  const agent = spawn(command, args, { cwd: worktree, env, stdio: 'ignore', detached: true });
  try {
    await until('the command runs', () => existsSync(join(worktree, 'started')), 60_000);
    await until('the hooks have run', () => hooksOf(inputs).includes('touch started'), 60_000);
  } finally {
    process.kill(-agent.pid!, 'SIGKILL');
    await once(agent, 'close');
  }

  const folder = join(fixtures, recipe.agent);
  mkdirSync(folder, { recursive: true });
  const hooks = hooksOf(inputs);
  writeFileSync(join(folder, 'hooks.jsonl'), scrubbed(hooks, stage));
  const [name, transcript] = transcriptOf(recipe.agent, stage, hooks);
  writeFileSync(join(folder, name), scrubbed(transcript, stage));
}

function hooksOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function transcriptOf(agent: Agent, stage: Stage, hooks: string): [string, string] {
  if (agent === 'opencode') {
    return ['transcript.sql', dump(join(stage.home, '.local/share/opencode/opencode.db'))];
  }
  const path = /"transcript_?[pP]ath":"([^"]+)"/.exec(hooks)?.[1] ?? '';
  return ['transcript.jsonl', readFileSync(path, 'utf8')];
}

/** The tables of a conversation, as statements that make them again. */
function dump(path: string): string {
  const db = new DatabaseSync(path, { readOnly: true });
  const tables = ['project', 'session', 'message', 'part', 'todo'];
  const made = tables.map((table) => {
    const row = db.prepare('SELECT sql FROM sqlite_master WHERE name = ?').get(table);
    return String(row?.['sql']);
  });
  const filled = tables.flatMap((table) =>
    db
      .prepare(`SELECT * FROM ${table}`)
      .all()
      .map((row) => `INSERT INTO ${table} VALUES (${Object.values(row).map(literal).join(', ')})`),
  );
  return [...made, ...filled].map((statement) => `${statement};\n`).join('');
}

function literal(value: unknown): string {
  if (value === null) return 'NULL';
  return typeof value === 'number' ? String(value) : `'${String(value).replaceAll("'", "''")}'`;
}

/** Instructions and descriptions that the agents' makers wrote: not ours to keep, and not read. */
const LONG_TEXT = /"(?:[^"\\]|\\.){200,}"/g;
const OTHER_LINES = /^\{.*"type":"(?:attachment|api-request[\w-]*|world_state|turn_context)".*\n/gm;

function scrubbed(text: string, stage: Stage): string {
  return text
    .replaceAll(stage.root, '/stage')
    .replaceAll(stage.root.replaceAll('/', '-'), '-stage')
    .replaceAll(stage.model.url, 'http://model')
    .replaceAll(/"(osVersion)":"[^"]*"/g, '"$1":"Linux"')
    .replaceAll(OTHER_LINES, '')
    .replaceAll(LONG_TEXT, (long) => (long[1] === '<' ? '"<a long text>"' : '"(a long text)"'));
}

for (const recipe of recipes) {
  const stage = await startStage();
  try {
    await record(stage, recipe);
    console.log(`${recipe.agent}: recorded`);
  } finally {
    await stage.close();
  }
}
