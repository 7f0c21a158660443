import type { FakeIssue, NewFakeIssue, World } from './world.ts';
import { addIssue, addLabels, addRepo, removeLabel, renameRepo, setState } from './world.ts';

/** What people do to a repository at GitHub, for tests. */
export type RepoHandle = ReturnType<typeof repoHandle>;

export function repoHandle(world: World, fullName: string, issues: number) {
  const [owner = '', name = ''] = fullName.split('/');
  const repo = world.byName.get(world.key(owner, name)) ?? addRepo(world, fullName);
  for (let count = 0; count < issues; count += 1) addIssue(world, repo);

  const issue = (number: number): FakeIssue => {
    const found = repo.issues.get(number);
    if (!found) throw new Error(`${fullName} has no issue ${number}`);
    return found;
  };
  return {
    id: repo.id,
    /** Opens an issue and returns its number. */
    open: (fields?: NewFakeIssue) => addIssue(world, repo, fields).number,
    close: (number: number) => setState(world, issue(number), 'closed'),
    reopen: (number: number) => setState(world, issue(number), 'open'),
    retitle(number: number, title: string) {
      Object.assign(issue(number), { title, updatedAt: world.now() });
    },
    label: (number: number, ...names: string[]) => addLabels(world, repo, issue(number), names),
    unlabel: (number: number, label: string) => removeLabel(world, issue(number), label),
    labels: (number: number) => [...issue(number).labels].sort(),
    /** Deletes the issue for good. */
    delete(number: number) {
      issue(number).gone = 'deleted';
    },
    transfer(number: number, to: string) {
      const [toOwner = '', toName = ''] = to.split('/');
      const target = world.byName.get(world.key(toOwner, toName));
      if (!target) throw new Error(`there is no ${to}`);
      issue(number).gone = { repo: target, number: addIssue(world, target).number };
    },
    rename: (to: string) => renameRepo(world, repo, to),
    /** Removes the repository; its name is free again. */
    remove() {
      repo.removed = true;
      world.byName.delete(world.key(repo.owner, repo.name));
    },
    disableIssues() {
      repo.hasIssues = false;
    },
    archive() {
      repo.archived = true;
    },
  };
}
