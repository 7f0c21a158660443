import { join } from 'node:path';
import { put } from '../services/git/helpers.ts';

/**
 * A coding agent as far as its command line goes: a shell script that is called as a known one is, such as `claude`. In
 * it `$PROMPT` is its last argument and `$ATTEMPT` the number of the attempt, as the prompt says.
 *
 * @returns its path
 */
export function scriptedAgent(folder: string, name: string, script: string): string {
  const head = [
    '#!/bin/sh',
    'for PROMPT; do :; done',
    'ATTEMPT=$(printf %s "$PROMPT" | sed -n "s/^# Continue: attempt //p")',
    'ATTEMPT=${ATTEMPT:-1}',
  ];
  put(folder, name, `${head.join('\n')}\n${script}\n`, 0o755);
  return join(folder, name);
}
