#!/usr/bin/env node
import { COMMANDS } from './commands.ts';
import { leaveCheckout } from './frame/npm.ts';

/** `defib`. What is imported here, every command waits for. */

// As in package.json. npm only warns, and what is missing then would fail far from the reason.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(`defib needs Node 22.18 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

leaveCheckout(process.env);

const [name, ...rest] = process.argv.slice(2);
const entry = COMMANDS.find((command) => command.name === name);

if (entry && 'direct' in entry) {
  const { main } = await entry.direct();
  process.exitCode = await main(rest);
} else {
  const { runProgram } = await import('./frame/program.ts');
  process.exitCode = await runProgram(process.argv.slice(2));
}
