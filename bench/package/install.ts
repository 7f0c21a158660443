import { execFile } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PRODUCT = fileURLToPath(new URL('../..', import.meta.url));

export type Installed = {
  tarball: string;
  /** Everything that npm installed. */
  modules: string;
  /** Our own part of it. */
  defib: string;
};

/** Packs the product of this checkout and installs it below `folder`, as its users do. */
export async function installPackage(folder: string, signal: AbortSignal): Promise<Installed> {
  await run('npm', ['pack', '--pack-destination', folder], { cwd: PRODUCT, signal });
  const name = (await readdir(folder)).find((file) => file.endsWith('.tgz')) ?? 'no tarball';
  const tarball = join(folder, name);
  const app = join(folder, 'app');
  await mkdir(app);
  await writeFile(join(app, 'package.json'), '{"private": true}');
  const args = ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball];
  await run('npm', args, { cwd: app, signal });
  const modules = join(app, 'node_modules');
  return { tarball, modules, defib: join(modules, 'defib') };
}
