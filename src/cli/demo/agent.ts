/*
 * A coding agent that is scripted, in place of one that thinks. The first attempt works until it is
 * killed; the one that is started with a continuation prompt goes on from the files it finds.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { IDENTITY } from './project.ts';

const { DEFIB_URL, DEFIB_SESSION_ID, DEFIB_SESSION_TOKEN } = process.env;

async function post(route: string, body: object): Promise<void> {
  const response = await fetch(`${DEFIB_URL}/api/sessions/${DEFIB_SESSION_ID}/${route}`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${DEFIB_SESSION_TOKEN}`,
      'Content-Type': 'application/json',
    },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
}

const git = (...args: string[]) =>
  execFileSync('git', args, { env: { ...process.env, ...IDENTITY } });

async function begin(): Promise<void> {
  await post('heartbeat', { turn: 1 });
  writeFileSync(
    'greet.js',
    "const names = process.argv.slice(2);\nconsole.log('hello', ...names);\n",
  );
  git('add', 'greet.js');
  await post('checkpoints', {
    trigger: 'turn',
    turn: 2,
    reasoning: {
      objective: 'greet in English and in German',
      decisions: [{ what: 'names come from the command line', why: 'no dependency is needed' }],
      done: ['the English greeting takes names'],
      remaining: ['the German greeting', 'a line in the README'],
      nextStep: 'write greet-de.js',
    },
  });
  writeFileSync('greet-de.js', "console.log('hallo',");
  // And here it thinks for longer than it may.
  await pause(600_000);
}

async function goOn(promptFile: string): Promise<void> {
  await post('heartbeat', { turn: 3 });
  // Success prunes the checkpoints: time for the demo to show them.
  await pause(1000);
  const prompt = readFileSync(promptFile, 'utf8');
  if (!prompt.includes('a line in the README'))
    throw new Error('the prompt does not say what is left');
  appendFileSync('greet-de.js', ' ...process.argv.slice(2));\n');
  appendFileSync('README.md', '\nRun greet.js or greet-de.js with names.\n');
  git('add', '-A');
  git('commit', '-qm', 'Greet in English and in German');
  git('push', '-q', 'origin', 'HEAD:greeting');
  await post('finish', { outcome: 'completed', summary: 'both greetings work' });
}

const [promptFile] = process.argv.slice(2);
await (promptFile === undefined ? begin() : goOn(promptFile));
