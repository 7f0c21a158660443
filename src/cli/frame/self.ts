import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The file that is `defib`, to start it as a process of its own: `process.execPath, [DEFIB, 'up']`.
 * TypeScript in the repository, JavaScript in the package.
 */
export const DEFIB = fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url));
