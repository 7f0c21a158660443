/*
 * Records docs/pictures/terminal.svg: work that takes three attempts, as somebody types it in a repository of theirs.
 * Everything in it is what the commands printed, run here: node scripts/terminal-picture.ts
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const DEFIB = join(import.meta.dirname, '../src/cli/main.ts');
const PICTURE = join(import.meta.dirname, '../docs/pictures/terminal.svg');

/** An agent that finds out from the files how far the work is, and needs three attempts. */
const AGENT = `#!/bin/sh
done=$(ls part-*.txt 2>/dev/null | wc -l)
for part in $(seq $((done + 1)) 3); do
  echo "agent: writing part $part of 3"
  echo "part $part" > part-$part.txt
  [ $part -lt 3 ] && sleep 600
done
git add . && git commit --quiet --message 'Write all three parts'
echo 'agent: done'
`;

type Line = { text: string; kind: 'typed' | 'said' | 'printed' };

const root = mkdtempSync(join(tmpdir(), 'defib-picture-'));
const repo = join(root, 'app');
const env = {
  PATH: `${root}:${process.env['PATH']}`,
  HOME: root,
  PORT: '4700',
  GIT_AUTHOR_NAME: 'You',
  GIT_AUTHOR_EMAIL: 'you@example.com',
  GIT_COMMITTER_NAME: 'You',
  GIT_COMMITTER_EMAIL: 'you@example.com',
};
const lines: Line[] = [];

/** Types a command of the shell, and notes what it said. */
function type(command: string): void {
  lines.push({ text: `$ ${command}`, kind: 'typed' });
  // Standard error as well, in the order in which both came.
  const { stdout } = spawnSync('sh', ['-c', `${command} 2>&1`], { cwd: repo, env });
  for (const text of stdout.toString().replaceAll(root, '~').trimEnd().split('\n')) {
    lines.push({ text, kind: text.startsWith('defib:') ? 'said' : 'printed' });
  }
}

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const COLOURS = { typed: '#79c0ff', said: '#e3b341', printed: '#c9d1d9' };
const MAX_COLUMNS = 110;
const CHAR = 7.8;
const ROW = 19;

function toSvg(): string {
  const width = Math.ceil(Math.max(...lines.map(({ text }) => text.length)) * CHAR) + 40;
  const height = lines.length * ROW + 40;
  const rows = lines.map(
    ({ text, kind }, n) =>
      `  <text x="20" y="${(n + 1) * ROW + 14}" fill="${COLOURS[kind]}">${escape(text)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13" xml:space="preserve">
  <rect width="100%" height="100%" rx="8" fill="#0d1117"/>
${rows.join('\n')}
</svg>
`;
}

/** A line that is too long is cut, as a narrow terminal would. */
function cut(): void {
  for (const line of lines) {
    if (line.text.length > MAX_COLUMNS) line.text = `${line.text.slice(0, MAX_COLUMNS - 1)}…`;
  }
}

try {
  mkdirSync(repo);
  writeFileSync(join(root, 'defib'), `#!/bin/sh\nexec '${process.execPath}' '${DEFIB}' "$@"\n`);
  writeFileSync(join(repo, 'agent'), AGENT);
  for (const file of [join(root, 'defib'), join(repo, 'agent')]) chmodSync(file, 0o755);
  const git = (...args: string[]) => execFileSync('git', args, { cwd: repo, env });
  git('init', '--quiet', '--initial-branch', 'main');
  git('add', '.');
  git('commit', '--quiet', '--message', 'Begin');
  type('defib up -d');
  type('defib run --timeout 15 --grace 1 --rerun -- ./agent');
  type('git log --oneline');
  type('defib status');
  cut();
  mkdirSync(join(PICTURE, '..'), { recursive: true });
  writeFileSync(PICTURE, toSvg());
} finally {
  spawnSync('defib', ['down'], { cwd: repo, env });
  rmSync(root, { recursive: true, force: true, maxRetries: 10 });
}
