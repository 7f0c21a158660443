/*
 * What the system holds a git child to. The repositories and bundles that git reads come from strangers,
 * and a few bytes of them can ask for any amount of memory or time: a chain of deltas, a folder that holds
 * itself a thousand times. Node cannot set limits of a child (setrlimit(2)), so a shell does, and becomes git.
 */

const MIB = 1024 * 1024;

/** Bytes of memory that a git child may write to (RLIMIT_DATA): packs that it only maps do not count. */
const MAX_DATA = 1024 * MIB;
/** Bytes of the largest file that a git child may write (RLIMIT_FSIZE). */
const MAX_FILE = 16 * 1024 * MIB;

// `ulimit -d` counts in KiB, `-f` in blocks of 512 bytes, `-t` in seconds of processor time. One that the
// system has already set lower cannot be raised, and need not be.
const SCRIPT =
  '{ ulimit -d "$1"; ulimit -f "$2"; ulimit -t "$3"; } 2>/dev/null; shift 3; exec git "$@"';

/** The command that runs git with `args` under limits. `timeoutMs` is the wall-clock deadline of the call. */
export function limitedGit(args: readonly string[], timeoutMs: number): [string, string[]] {
  // Several threads share the time, and the deadline is kept by the parent: this holds where that is gone.
  const seconds = Math.ceil(timeoutMs / 1000) * 4;
  const limits = [MAX_DATA / 1024, MAX_FILE / 512, seconds].map(String);
  return ['sh', ['-c', SCRIPT, 'git', ...limits, ...args]];
}
