/**
 * `npm run agents`: installs the coding agents that the tests drive, once.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { agentsAreInstalled, agentsFolder, manifest, stamp } from './installed.ts';

if (agentsAreInstalled()) {
  console.log(`The agents are installed in ${agentsFolder}.`);
} else {
  rmSync(stamp, { force: true });
  mkdirSync(agentsFolder, { recursive: true });
  copyFileSync(manifest, join(agentsFolder, 'package.json'));
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], {
    cwd: agentsFolder,
    stdio: 'inherit',
  });
  copyFileSync(manifest, stamp);
}
