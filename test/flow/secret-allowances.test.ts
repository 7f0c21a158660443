import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitAll, put, userGit } from '../services/git/helpers.ts';
import { planted } from '../setup/planted.ts';
import { checkpointBranches, type Resumable, startResumable } from '../setup/resumable.ts';

const { github, ecKey } = planted;

describe('what is no secret after all', () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres', {
      DEFIB_CHECKPOINT_REMOTE: 'origin',
      DEFIB_SECRETS_ALLOW: 'samples/, *.golden',
    });
  });
  afterAll(() => flow.stop());

  const pushed = (worktree: string) => userGit(worktree, ['push', '--quiet', 'origin', 'main']);
  const save = async (worktree: string) => {
    const session = await flow.start({ worktree });
    const saved = await session.post('checkpoints', { trigger: 'turn' });
    expect(saved.status, saved.text).toBe(201);
    return saved.body;
  };

  it('is not searched again where the remote has it, also one that is given by its URL', async () => {
    const { worktree, remote } = flow.clone('known');
    put(worktree, 'fixture.txt', github!.text);
    commitAll(worktree);
    pushed(worktree);
    put(worktree, 'a.txt', 'changed\n');
    await flow.policy({ checkpointRemote: remote });
    expect(await save(worktree)).toMatchObject({ durability: 'pushed', warnings: [] });
    expect(checkpointBranches(remote)).toHaveLength(1);
    put(worktree, 'b.txt', github!.text.replace('ghp', 'gho'));
    expect((await save(worktree)).warnings.join()).toMatch(/secret \(github\) in b\.txt/);
    await flow.policy({});
  });

  it('is freed by the operator for paths of theirs', async () => {
    const { worktree } = flow.clone('operator');
    put(worktree, 'samples/deep/key.pem', ecKey!.text);
    put(worktree, 'out.golden', github!.text);
    expect(await save(worktree)).toMatchObject({ durability: 'pushed', warnings: [] });
  });

  it('is freed by a .secretlintignore that has landed, but for what the operator forbids', async () => {
    const { worktree } = flow.clone('landed');
    put(worktree, '.secretlintignore', '# ours\ntest/fixtures/*\n!test/fixtures/real.txt\n*.pem\n');
    put(worktree, 'test/fixtures/token.txt', github!.text);
    const alone = await save(worktree);
    expect(alone.warnings.join()).toMatch(/secret \(github\) in test\/fixtures\/token\.txt/);

    commitAll(worktree);
    expect((await save(worktree)).durability).toBe('stored');
    userGit(worktree, ['rm', '--quiet', '-r', 'test']);
    userGit(worktree, ['commit', '--quiet', '--amend', '-m', 'allow fixtures']);
    pushed(worktree);
    put(worktree, 'test/fixtures/token.txt', github!.text);
    expect(await save(worktree)).toMatchObject({ durability: 'pushed', warnings: [] });

    put(worktree, 'test/fixtures/real.txt', `${github!.text}\nreal`);
    put(worktree, 'test/key.pem', ecKey!.text);
    put(worktree, 'other.txt', `${github!.text}\nother`);
    const warnings = (await save(worktree)).warnings.join('\n');
    expect(warnings).toMatch(/test\/fixtures\/real\.txt/);
    expect(warnings).toMatch(/privatekey\) in test\/key\.pem/);
    expect(warnings).toMatch(/in other\.txt/);
    expect(warnings).not.toMatch(/token\.txt/);
  });

  it.each([
    [
      'is a link',
      (folder: string) =>
        userGit(folder, [
          'update-index',
          '--add',
          '--cacheinfo',
          `120000,${blob(folder, 'fixtures\n')},.secretlintignore`,
        ]),
    ],
    [
      'is too large',
      (folder: string) =>
        userGit(folder, [
          'update-index',
          '--add',
          '--cacheinfo',
          `100644,${blob(folder, `fixtures\n${'#'.repeat(70_000)}`)},.secretlintignore`,
        ]),
    ],
  ])('is not freed by one that %s', async (how, add) => {
    const { worktree } = flow.clone(`bad-${how.replaceAll(' ', '-')}`);
    add(worktree);
    userGit(worktree, ['commit', '--quiet', '-m', 'a list']);
    pushed(worktree);
    put(worktree, 'fixtures/a.txt', github!.text);
    expect((await save(worktree)).warnings.join()).toMatch(/secret \(github\) in fixtures\/a\.txt/);
  });
});

const blob = (folder: string, content: string) =>
  userGit(folder, ['hash-object', '-w', '--stdin'], content).toString().trim();
