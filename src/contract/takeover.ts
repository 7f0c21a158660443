/**
 * How a worker of the same machine goes on where the supervisor of a session dies, as an operator's `defib run`
 * recorded it.
 */
export type Takeover = {
  /** The agent's command; an argument that is `{prompt}`, `{promptFile}`, `{worktree}` or `{sessionId}` is replaced. */
  command: string[];
  /** The machine it is for, by the name that its workers have. */
  host: string;
  /** The folder it is started in. */
  cwd: string;
  /** Where `defib run` keeps what it must remember. */
  stateDir: string;
  /** `PATH`, by which programs are found. */
  path: string;
};
