import { spawn } from 'node:child_process';

export type Tether = {
  /** Everything ended in an orderly way: nothing is left to do. Settles when the shell is gone. */
  release(): Promise<void>;
};

/**
 * Ties processes and a folder to the life of this process. A shell waits on a pipe that only we hold:
 * when we die, however we die, it reads the end of it, kills what is named and removes the folder,
 * more than once where a process that just ends still writes there.
 *
 * @param pidFiles files whose first line is the pid of a process to kill, read at that moment
 */
export function tether(pidFiles: string[], folder: string): Tether {
  const script = `
    folder=$1; shift
    read -r word
    [ "$word" = released ] && exit 0
    for file; do
      read -r pid < "$file" && kill -9 "$pid"
    done
    for try in 1 2 3 4 5; do
      sleep 1
      rm -rf "$folder" && exit 0
    done`;
  const shell = spawn('/bin/sh', ['-c', script, 'sh', folder, ...pidFiles], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  // The pipe alone must not keep a process alive that has nothing else to do.
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref();
  const gone = new Promise<void>((resolve) => shell.once('exit', () => resolve()));
  return {
    release() {
      shell.ref();
      shell.stdin.end('released\n');
      return gone;
    },
  };
}
