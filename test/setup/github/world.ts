/** What the fake GitHub knows: repositories with their issues, and a clock of its own. */
export type FakeIssue = {
  id: number;
  number: number;
  title: string;
  state: 'open' | 'closed';
  labels: string[];
  isPullRequest: boolean;
  createdAt: Date;
  updatedAt: Date;
  closedAt: Date | null;
  /** Deleted issues answer 410, transferred ones redirect to this number of another repository. */
  gone: false | 'deleted' | { repo: FakeRepo; number: number };
};

export type FakeRepo = {
  id: number;
  owner: string;
  name: string;
  hasIssues: boolean;
  archived: boolean;
  removed: boolean;
  issues: Map<number, FakeIssue>;
  /** Lower-case name → the name as it was first written. */
  labelNames: Map<string, string>;
};

export type World = ReturnType<typeof createWorld>;

const key = (owner: string, name: string) => `${owner}/${name}`.toLowerCase();

export function createWorld() {
  const byName = new Map<string, FakeRepo>();
  const byId = new Map<number, FakeRepo>();
  /** Former names, which redirect until another repository takes them. */
  const formerNames = new Map<string, FakeRepo>();
  let offsetMs = 0;
  let lastId = 1000;

  return {
    byName,
    byId,
    formerNames,
    key,
    nextId: () => (lastId += 1),
    /** GitHub's times have no fractions of a second. */
    now: () => new Date(Math.floor((Date.now() + offsetMs) / 1000) * 1000),
    advance(ms: number) {
      offsetMs += ms;
    },
  };
}

export function addRepo(world: World, fullName: string): FakeRepo {
  const [owner = '', name = ''] = fullName.split('/');
  const repo: FakeRepo = {
    id: world.nextId(),
    owner,
    name,
    hasIssues: true,
    archived: false,
    removed: false,
    issues: new Map(),
    labelNames: new Map(),
  };
  world.formerNames.delete(world.key(owner, name));
  world.byName.set(world.key(owner, name), repo);
  world.byId.set(repo.id, repo);
  return repo;
}

export function renameRepo(world: World, repo: FakeRepo, fullName: string): void {
  const [owner = '', name = ''] = fullName.split('/');
  world.byName.delete(world.key(repo.owner, repo.name));
  world.formerNames.set(world.key(repo.owner, repo.name), repo);
  repo.owner = owner;
  repo.name = name;
  world.byName.set(world.key(owner, name), repo);
}

export type NewFakeIssue = Partial<Pick<FakeIssue, 'title' | 'state' | 'isPullRequest'>> & {
  labels?: string[];
};

export function addIssue(world: World, repo: FakeRepo, fields: NewFakeIssue = {}): FakeIssue {
  const number = repo.issues.size + 1;
  const now = world.now();
  const issue: FakeIssue = {
    id: world.nextId(),
    number,
    title: fields.title ?? `Issue ${number}`,
    state: fields.state ?? 'open',
    labels: (fields.labels ?? []).map((name) => canonicalLabel(repo, name)),
    isPullRequest: fields.isPullRequest ?? false,
    createdAt: now,
    updatedAt: now,
    closedAt: fields.state === 'closed' ? now : null,
    gone: false,
  };
  repo.issues.set(number, issue);
  return issue;
}

/** Labels are one whatever their case, and keep the case of the first who wrote them. */
function canonicalLabel(repo: FakeRepo, name: string): string {
  const known = repo.labelNames.get(name.toLowerCase());
  if (known === undefined) repo.labelNames.set(name.toLowerCase(), name);
  return known ?? name;
}

/** Adding labels that are there already changes nothing, not even `updatedAt`. */
export function addLabels(world: World, repo: FakeRepo, issue: FakeIssue, names: string[]): void {
  const fresh = names
    .map((name) => canonicalLabel(repo, name))
    .filter((name) => !issue.labels.includes(name));
  if (fresh.length === 0) return;
  issue.labels = [...issue.labels, ...fresh];
  issue.updatedAt = world.now();
}

export function removeLabel(world: World, issue: FakeIssue, name: string): boolean {
  const left = issue.labels.filter((label) => label.toLowerCase() !== name.toLowerCase());
  if (left.length === issue.labels.length) return false;
  issue.labels = left;
  issue.updatedAt = world.now();
  return true;
}

export function setState(world: World, issue: FakeIssue, state: FakeIssue['state']): void {
  issue.state = state;
  issue.updatedAt = world.now();
  issue.closedAt = state === 'closed' ? issue.updatedAt : null;
}
