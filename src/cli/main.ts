#!/usr/bin/env node
import { COMMANDS } from './commands.ts';

/** `defib`. What is imported here, every command waits for. */
const [name, ...rest] = process.argv.slice(2);
const entry = COMMANDS.find((command) => command.name === name);

if (entry && 'direct' in entry) {
  const { main } = await entry.direct();
  process.exitCode = await main(rest);
} else {
  const { runProgram } = await import('./frame/program.ts');
  process.exitCode = await runProgram(process.argv.slice(2));
}
