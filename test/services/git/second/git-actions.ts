import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Action } from './file-actions.ts';
import type { World } from './kit.ts';
import {
  branches,
  content,
  existing,
  git,
  line,
  name,
  put,
  someCommit,
  tracked,
  unique,
} from './kit.ts';

const run =
  (...args: string[]): Action =>
  (world) => {
    git(world.repo, args);
  };

/** One of several ways to call a command. */
const oneOf =
  (...ways: string[][]): Action =>
  (world) => {
    git(world.repo, world.rng.pick(ways));
  };

const onPath =
  (...ways: string[][]): Action =>
  (world) => {
    git(world.repo, [...world.rng.pick(ways), '--', tracked(world)]);
  };

const gitPath = (world: World, path: string): string =>
  line(world.repo, 'rev-parse', '--path-format=absolute', '--git-path', path);

function commitHere(world: World): void {
  git(world.repo, ['commit', '--quiet', '--allow-empty', '-am', unique(world, 'commit ')]);
}

/** Two branches that changed the same line, and one of them checked out with nothing in the way. */
function collide(world: World): string {
  const side = unique(world, 'side-');
  git(world.repo, ['stash', '--quiet', '-u']);
  const back = line(world.repo, 'rev-parse', 'HEAD');
  for (const word of ['theirs', 'ours']) {
    put(world, 'a.txt', `one\n${word} ${side}\nthree\n`);
    if (world.rng.chance(0.5)) put(world, 'both', `${word}\n`, word === 'ours' ? 0o755 : 0o644);
    git(world.repo, ['add', '-A']);
    git(world.repo, ['commit', '--quiet', '-m', `${word} ${side}`]);
    if (word === 'ours') break;
    git(world.repo, ['branch', side]);
    git(world.repo, ['reset', '--quiet', '--hard', back]);
  }
  return side;
}

const clash =
  (...args: string[]): Action =>
  (world) => {
    const side = collide(world);
    git(world.repo, [...args, side]);
  };

function pointTag(world: World): void {
  const target = world.rng.pick(['HEAD:a.txt', 'HEAD^{tree}', 'HEAD:dir', 'HEAD', ':a.txt']);
  const how = world.rng.pick([[], ['-a', '-m', 'a tag']]);
  const tag = unique(world, 'tag-');
  git(world.repo, ['tag', ...how, tag, target]);
  if (world.rng.chance(0.3)) git(world.repo, ['tag', '-a', '-m', 'of a tag', `${tag}-of`, tag]);
}

function blobOf(world: World): string {
  const made = git(world.repo, ['hash-object', '-w', '--stdin'], content(world));
  return made.toString('latin1').trim();
}

export const GIT_ACTIONS: Record<string, Action> = {
  addAll: run('add', '-A'),
  addPath: (world) => void git(world.repo, ['add', '-f', '--', existing(world)]),
  addPlanned: (world) => {
    const path = name(world);
    put(world, path, content(world));
    git(world.repo, ['add', '-N', '-f', '--', `:(literal)${path}`]);
  },
  renormalize: run('add', '--renormalize', '.'),
  rmCached: onPath(['rm', '--quiet', '--cached'], ['rm', '--quiet', '-f']),
  move: (world) => void git(world.repo, ['mv', '-f', tracked(world), unique(world, 'moved-')]),
  restore: onPath(['restore'], ['restore', '--staged'], ['restore', '-SW'], ['checkout', 'HEAD~1']),
  reset: oneOf(
    ['reset', '--quiet', '--soft', 'HEAD~1'],
    ['reset', '--quiet', '--mixed', 'HEAD~1'],
    ['reset', '--quiet', '--hard', 'other'],
    ['reset', '--quiet', '--hard'],
    ['reset', '--quiet', '--keep', 'HEAD~1'],
    ['reset', '--quiet', '--merge', 'HEAD~1'],
    ['reset', '--quiet', '-N', 'HEAD~1'],
  ),
  clean: oneOf(['clean', '-fdq'], ['clean', '-fdxq'], ['clean', '-ffdxq']),
  commit: commitHere,
  commitStaged: run('commit', '--quiet', '--allow-empty', '-m', 'staged'),
  commitOnly: (world) =>
    void git(world.repo, ['commit', '--quiet', '-m', 'only', '-o', '--', tracked(world)]),
  amend: run('commit', '--quiet', '--amend', '--allow-empty', '-a', '-m', 'amended'),
  stash: oneOf(
    ['stash', '--quiet'],
    ['stash', '--quiet', '-u'],
    ['stash', '--quiet', '-a'],
    ['stash', '--quiet', '--keep-index'],
    ['stash', '--quiet', '--staged'],
    ['stash', '--quiet', '-u', '--keep-index'],
  ),
  unstash: oneOf(
    ['stash', 'pop', '--quiet'],
    ['stash', 'pop', '--quiet', '--index'],
    ['stash', 'apply', '--quiet'],
    ['stash', 'drop', '--quiet'],
    ['stash', 'clear'],
    ['stash', 'branch', 'from-stash'],
  ),
  branch: (world) => void git(world.repo, ['switch', '--quiet', '-c', unique(world, 'br/')]),
  detach: oneOf(['switch', '--quiet', '--detach'], ['checkout', '--quiet', 'HEAD~1']),
  orphan: (world) =>
    void git(
      world.repo,
      world.rng
        .pick([
          ['switch', '--quiet', '--orphan'],
          ['checkout', '--quiet', '--orphan'],
        ])
        .concat(unique(world, 'orphan-')),
    ),
  switchTo: (world) =>
    void git(world.repo, [
      'checkout',
      '--quiet',
      ...world.rng.pick([[], ['-m'], ['-f']]),
      world.rng.pick(branches(world)),
    ]),
  renameBranch: (world) => void git(world.repo, ['branch', '-m', unique(world, 'renamed-')]),
  describe: (world) =>
    void git(world.repo, [
      'config',
      `branch.${world.rng.pick(branches(world))}.description`,
      'line\nother "line" \\ ; #',
    ]),
  track: (world) =>
    void git(world.repo, [
      'branch',
      '--quiet',
      '--set-upstream-to',
      world.rng.pick(branches(world)),
    ]),
  oddHead: (world) => {
    const odd = world.rng.pick([
      'refs/heads/s p'.replace(' ', '-'),
      'refs/other/place',
      'refs/heads/caf\u00e9',
    ]);
    git(world.repo, ['update-ref', odd, 'HEAD']);
    git(world.repo, ['symbolic-ref', 'HEAD', odd]);
  },
  tag: pointTag,
  replace: (world) => void git(world.repo, ['replace', '-f', 'HEAD', someCommit(world)]),
  replaceBlob: (world) =>
    void git(world.repo, [
      'replace',
      '-f',
      line(world.repo, 'rev-parse', 'HEAD:a.txt'),
      blobOf(world),
    ]),
  graft: (world) => void git(world.repo, ['replace', '-f', '--graft', 'HEAD']),
  grafts: (world) =>
    writeFileSync(gitPath(world, 'info/grafts'), `${line(world.repo, 'rev-parse', 'HEAD')}\n`),
  note: (world) =>
    void git(world.repo, [
      'notes',
      ...world.rng.pick([[], ['--ref=mine']]),
      'add',
      '-f',
      '-m',
      unique(world, 'note '),
      'HEAD',
    ]),
  notesMerge: (world) => {
    git(world.repo, ['notes', 'add', '-f', '-m', 'here', 'HEAD']);
    git(world.repo, ['notes', '--ref=there', 'add', '-f', '-m', 'there', 'HEAD']);
    git(world.repo, ['notes', 'merge', 'there']);
  },
  packRefs: oneOf(
    ['pack-refs', '--all', '--prune'],
    ['gc', '--quiet', '--prune=now'],
    ['repack', '-adq'],
    ['prune'],
  ),
  forget: run('reflog', 'expire', '--expire=now', '--all'),
  multiPack: run('multi-pack-index', 'write'),
  commitGraph: run('commit-graph', 'write', '--reachable'),
  symref: (world) =>
    void git(world.repo, [
      'symbolic-ref',
      world.rng.pick(['refs/heads/alias', 'refs/alias/x', 'refs/remotes/origin/HEAD']),
      world.rng.pick(['refs/heads/other', 'refs/heads/none']),
    ]),
  refs: (world) =>
    void git(world.repo, [
      'update-ref',
      world.rng.pick([
        'refs/mine/a',
        'refs/worktree/w',
        'refs/heads/checkpoint',
        'refs/bisect/bad',
        'refs/rewritten/r',
        'refs/heads/x/y',
        'refs/heads/x',
        'refs/stash',
        'MY_HEAD',
      ]),
      someCommit(world),
    ]),
  refToBlob: (world) =>
    void git(world.repo, ['update-ref', unique(world, 'refs/blobs/'), blobOf(world)]),
  deleteRef: (world) =>
    void git(world.repo, [
      'update-ref',
      '-d',
      world.rng.pick(line(world.repo, 'for-each-ref', '--format=%(refname)').split('\n')),
    ]),
  merge: clash('merge', '--quiet', '--no-edit'),
  mergeOnly: clash('merge', '--quiet', '--no-commit', '-X', 'ours'),
  squash: clash('merge', '--quiet', '--squash'),
  diff3: clash('-c', 'merge.conflictStyle=diff3', '-c', 'rerere.enabled=true', 'merge'),
  rebase: clash('rebase', '--quiet'),
  rebaseApply: clash('rebase', '--quiet', '--apply'),
  rebaseEdit: run(
    '-c',
    'sequence.editor=sed -i s/^pick/edit/',
    'rebase',
    '--quiet',
    '-i',
    'HEAD~1',
  ),
  rebaseExec: run('rebase', '--quiet', '--exec', 'false', '--autostash', 'HEAD~1'),
  rebaseMerges: run(
    '-c',
    'sequence.editor=sed -i 1ibreak',
    'rebase',
    '--quiet',
    '-i',
    '--rebase-merges',
    '--root',
  ),
  cherryPick: clash('cherry-pick'),
  cherryRange: clash('cherry-pick', '--allow-empty', 'HEAD~1'),
  revert: oneOf(
    ['revert', '--no-edit', 'HEAD~1'],
    ['revert', '-n', 'HEAD'],
    ['revert', '--no-edit', 'HEAD~2..HEAD'],
  ),
  am: (world) =>
    void git(
      world.repo,
      ['am', '--quiet'],
      git(world.repo, ['format-patch', '--stdout', '-1', 'HEAD']),
    ),
  goOn: (world) =>
    void git(world.repo, [
      world.rng.pick(['rebase', 'merge', 'cherry-pick', 'revert', 'am']),
      world.rng.pick(['--abort', '--continue', '--quit', '--skip']),
    ]),
  resolve: (world) =>
    void git(
      world.repo,
      world.rng.pick([
        ['add', '-A'],
        ['checkout', '--ours', '.'],
        ['checkout', '--merge', '.'],
        ['rerere'],
      ]),
    ),
  conflictStages: (world) => {
    const [blob, path] = [blobOf(world), name(world)];
    const stages = [1, 2, 3].filter(() => world.rng.chance(0.6));
    const zero = `0 ${'0'.repeat(blob.length)} 0\t${path}\0`;
    git(
      world.repo,
      ['update-index', '-z', '--index-info'],
      `${zero}${stages.map((n) => `${n === 2 ? '100755' : '100644'} ${blob} ${n}\t${path}\0`).join('')}`,
    );
  },
  bisect: (world) => {
    git(world.repo, [
      'bisect',
      'start',
      ...world.rng.pick([
        [],
        ['--term-new', 'bad2', '--term-old', 'good2'],
        ['HEAD', 'HEAD~1'],
        ['--no-checkout', 'HEAD', 'HEAD~1'],
      ]),
    ]);
  },
  bisectReset: run('bisect', 'reset'),
  rerere: oneOf(
    ['config', 'rerere.enabled', 'true'],
    ['rerere', 'clear'],
    ['rerere', 'gc'],
    ['config', 'rerere.autoUpdate', 'true'],
  ),
  flags: onPath(
    ...[
      '--assume-unchanged',
      '--no-assume-unchanged',
      '--skip-worktree',
      '--no-skip-worktree',
      '--chmod=+x',
      '--chmod=-x',
      '--fsmonitor-valid',
      '--force-remove',
      '--again',
    ].map((flag) => ['update-index', flag]),
  ),
  cacheInfo: (world) =>
    void git(world.repo, [
      'update-index',
      '--add',
      '--replace',
      '--cacheinfo',
      `${world.rng.pick(['100644', '120000', '100755'])},${blobOf(world)},${name(world)}`,
    ]),
  gitlink: (world) =>
    void git(world.repo, [
      'update-index',
      '--add',
      '--replace',
      '--cacheinfo',
      `160000,${line(world.repo, 'rev-parse', 'HEAD')},${world.rng.pick(['mod2', 'dir/mod', 'a.txt'])}`,
    ]),
  indexForm: oneOf(
    ['update-index', '--index-version', '4'],
    ['update-index', '--index-version', '2'],
    ['update-index', '--split-index'],
    ['update-index', '--no-split-index'],
    ['update-index', '--untracked-cache'],
    ['update-index', '--no-untracked-cache'],
    ['update-index', '--refresh'],
    ['config', 'core.splitIndex', 'true'],
    ['config', 'index.sparse', 'true'],
    ['config', 'index.skipHash', 'true'],
    ['config', 'index.recordEndOfIndexEntries', 'true'],
    ['config', 'core.untrackedCache', 'true'],
    ['config', 'core.fsmonitor', 'true'],
  ),
  removeIndex: (world) =>
    void git(
      world.repo,
      world.rng.pick([
        ['read-tree', '--empty'],
        ['read-tree', 'HEAD'],
        ['read-tree', '-m', 'other', 'HEAD'],
        ['read-tree', '--prefix=sub/', 'HEAD'],
      ]),
    ),
  sparse: oneOf(
    ['sparse-checkout', 'set', '--cone', 'dir'],
    ['sparse-checkout', 'set', '--cone', 'Dir', 'build'],
    ['sparse-checkout', 'set', '--no-cone', '*.txt', '!dir/'],
    ['sparse-checkout', 'set', '--no-cone', '/*', '!/a.txt'],
    ['sparse-checkout', 'add', 'deep'],
    ['sparse-checkout', 'reapply', '--sparse-index'],
    ['sparse-checkout', 'reapply', '--no-sparse-index'],
    ['sparse-checkout', 'disable'],
    ['config', 'core.sparseCheckout', 'false'],
  ),
  setting: oneOf(
    ...[
      ['core.autocrlf', 'true'],
      ['core.autocrlf', 'input'],
      ['core.autocrlf', 'false'],
      ['core.eol', 'crlf'],
      ['core.fileMode', 'false'],
      ['core.fileMode', 'true'],
      ['core.symlinks', 'false'],
      ['core.ignoreCase', 'true'],
      ['core.trustctime', 'false'],
      ['core.checkStat', 'minimal'],
      ['core.quotePath', 'false'],
      ['core.safecrlf', 'warn'],
      ['core.preloadIndex', 'false'],
      ['core.bigFileThreshold', '2'],
      ['core.excludesFile', '/nowhere'],
      ['core.attributesFile', '/nowhere'],
      ['core.logAllRefUpdates', 'always'],
      ['core.precomposeUnicode', 'true'],
      ['core.commentChar', ';'],
      ['core.notesRef', 'refs/notes/mine'],
      ['core.warnAmbiguousRefs', 'false'],
      ['status.showUntrackedFiles', 'no'],
      ['status.relativePaths', 'false'],
      ['submodule.recurse', 'true'],
      ['filter.case.clean', 'tr a-z A-Z'],
      ['filter.case.smudge', 'tr A-Z a-z'],
      ['filter.case.required', 'true'],
      ['user.name', 'O\'Neil "x" \\ ; # \t'],
      ['i18n.commitEncoding', 'latin1'],
      ['gc.auto', '0'],
      ['core.useReplaceRefs', 'false'],
      ['core.compression', '0'],
      ['transfer.hideRefs', 'refs/heads'],
      ['core.sharedRepository', 'group'],
      ['diff.renames', 'copies'],
    ].map((pair) => ['config'].concat(pair)),
  ),
  unset: (world) => {
    const keys = line(world.repo, 'config', '--local', '--name-only', '--list').split('\n');
    const key = world.rng.pick(
      keys.filter((it) => !/^(?:extensions\.|core\.(?:bare|worktree|repo))/.test(it)),
    );
    git(world.repo, ['config', '--unset-all', key]);
  },
  exclude: (world) =>
    appendFileSync(
      gitPath(world, 'info/exclude'),
      `\n${world.rng.pick(['*.dat', 'dir', '!log.ignored', 'x.bin'])}\n`,
    ),
  privateAttributes: (world) => {
    mkdirSync(gitPath(world, 'info'), { recursive: true });
    writeFileSync(
      gitPath(world, 'info/attributes'),
      world.rng.pick(['*.txt text eol=crlf\n', '* -text\n', 'run.sh ident\n']),
    );
  },
  hook: (world) =>
    writeFileSync(gitPath(world, 'hooks/post-commit'), '#!/bin/sh\n', { mode: 0o755 }),
  worktree: (world) =>
    void git(world.repo, [
      'worktree',
      'add',
      '--quiet',
      '--detach',
      world.rng.pick([
        join(world.root, unique(world, 'other-')),
        join(world.repo, unique(world, 'inner-')),
      ]),
    ]),
  worktreePrune: run('worktree', 'prune'),
  submodule: (world) => {
    const source = unique(world, 'source-');
    git(world.root, ['init', '--quiet', source]);
    git(join(world.root, source), ['commit', '--quiet', '--allow-empty', '-m', 'module']);
    git(world.repo, [
      'submodule',
      '--quiet',
      'add',
      join(world.root, source),
      unique(world, 'mod-'),
    ]);
  },
  submoduleEnd: oneOf(
    ['submodule', '--quiet', 'deinit', '-f', '--all'],
    ['submodule', '--quiet', 'update', '--init'],
    ['submodule', 'absorbgitdirs'],
    ['submodule', '--quiet', 'sync'],
  ),
  nested: (world) => {
    const path = join(world.repo, world.rng.pick(['nested', 'dir/nested', 'build/nested']));
    git(world.repo, ['init', '--quiet', path]);
    writeFileSync(join(path, 'inner.txt'), content(world));
    if (world.rng.chance(0.5)) git(path, ['add', '-A']);
    if (world.rng.chance(0.5)) git(path, ['commit', '--quiet', '--allow-empty', '-m', 'inner']);
  },
  nestedLink: (world) =>
    put(world, 'fake/.git', world.rng.pick(['gitdir: /nowhere\n', 'nonsense', ''])),
  adopt: run('add', 'nested'),
  remote: (world) => {
    const bare = join(world.root, unique(world, 'remote-'));
    git(world.root, [
      'init',
      '--quiet',
      '--bare',
      ...(line(world.repo, 'rev-parse', '--show-object-format') === 'sha256'
        ? ['--object-format=sha256']
        : []),
      bare,
    ]);
    const remote = unique(world, 'r');
    git(world.repo, ['remote', 'add', remote, bare]);
    git(world.repo, ['push', '--quiet', '-u', remote, 'HEAD:refs/heads/pushed']);
  },
  fetch: oneOf(
    ['fetch', '--quiet', '--all'],
    ['fetch', '--quiet', '--depth=1'],
    ['fetch', '--quiet', '--unshallow'],
    ['fetch', '--quiet', '--deepen=1'],
    ['fetch', '--quiet', 'origin', 'other'],
  ),
  noise: (world) => writeFileSync(join(gitPath(world, 'UNKNOWN_FILE')), content(world)),
};
