/** Where a repository is found. Forges compare both parts without regard to case. */
export type RepoName = { owner: string; name: string };

export type ForgeRepo = RepoName & {
  /** The forge's own id: it stays when the repository is renamed, and differs when it is replaced. */
  upstreamId: string;
  hasIssues: boolean;
};

export type ForgeIssue = {
  number: number;
  /** The page that people open. */
  url: string;
  title: string;
  state: 'open' | 'closed';
  labels: string[];
  /** The forge's clock. */
  updatedAt: Date;
  closedAt: Date | null;
};

export type IssuePage = {
  issues: ForgeIssue[];
  /** The numbers of all that the page lists, pull requests among them. */
  numbers: number[];
  /** Where this page is: a listing can begin there anew. */
  at: string;
  /** Whether another page follows. */
  more: boolean;
  /** The forge's clock when it served this page. */
  servedAt: Date;
};

export type CallOptions = { signal: AbortSignal };

export type ListOptions = CallOptions & {
  /** Only issues that changed at or after this time of the forge's clock. */
  since?: Date | undefined;
  /** The `at` of a page of an earlier listing: this one begins there, with what that one asked for. */
  from?: string | undefined;
};

/**
 * What sync and reconcile ask of a forge. Every call rejects with a `ForgeError`, or with the
 * signal's reason when the caller gave up.
 */
export type Forge = {
  readonly kind: 'github';
  /** Stands for the credentials wherever they count as one; not a secret. */
  readonly credential: string;
  /** False where no credentials are configured: public repositories can be read, nothing written. */
  readonly canWrite: boolean;
  /** A sentence for the operator: which setting gives credentials that may write. */
  readonly credentialsHint: string;

  /** The repository under its present name, which differs from the asked one after a rename. */
  getRepo(repo: RepoName, options: CallOptions): Promise<ForgeRepo>;

  /**
   * Pages of issues in every state, oldest first by creation, so that a change during the listing
   * can repeat an issue but not hide one. No pull requests.
   *
   * @throws ForgeError `moved` before the first page of a renamed repository
   */
  listIssues(repo: RepoName, options: ListOptions): AsyncIterable<IssuePage>;

  /** One issue. @throws ForgeError `not_found` or `gone` when deleted, `moved` when transferred */
  getIssue(repo: RepoName, number: number, options: CallOptions): Promise<ForgeIssue>;

  /** Adds labels to the issue's own. Labels that are there already stay. */
  addLabels(repo: RepoName, number: number, labels: string[], options: CallOptions): Promise<void>;

  /** Takes one label away. A label that is not there is no error. */
  removeLabel(repo: RepoName, number: number, label: string, options: CallOptions): Promise<void>;
};
