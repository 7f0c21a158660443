import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

let file: string;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'defib-env-'));
  file = join(folder, '.env');
  vi.spyOn(process, 'cwd').mockReturnValue(folder);
  // It reads once in a process.
  vi.resetModules();
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

async function load(text: string, env: NodeJS.ProcessEnv, named?: string) {
  writeFileSync(file, text);
  const { loadEnvFile } = await import('../src/env-file.ts');
  const told = loadEnvFile(env, named);
  expect(loadEnvFile({}, named)).toBeUndefined();
  return told;
}

it('takes settings alone, and what is set already wins', async () => {
  const env: NodeJS.ProcessEnv = { PORT: '1', GITHUB_TOKEN: '' };
  const told = await load('GITHUB_TOKEN=x\nPORT=2\nDEFIB_LOG_LEVEL=warn\nPATH=/evil\n', env);
  expect(env).toEqual({ PORT: '1', GITHUB_TOKEN: '', DEFIB_LOG_LEVEL: 'warn' });
  expect(told).toBe(`settings in ${file}: taken: DEFIB_LOG_LEVEL; set already: GITHUB_TOKEN, PORT`);
});

it('takes the database of a file that is for Defib, or named, and of no other', async () => {
  const app = 'DATABASE_URL=postgres://app@db/app\nHOST=0.0.0.0\nPORT=3000\n';
  const env: NodeJS.ProcessEnv = {};
  const told = await load(app, env);
  expect(env).toEqual({ PORT: '3000' });
  expect(told).toContain("not taken, as it may be another program's: DATABASE_URL, HOST");
  expect(told).not.toContain('app@db');
  vi.resetModules();
  const named: NodeJS.ProcessEnv = {};
  await load(app, named, file);
  expect(Object.keys(named).sort()).toEqual(['DATABASE_URL', 'HOST', 'PORT']);
  vi.resetModules();
  const ours: NodeJS.ProcessEnv = {};
  await load(`${app}DEFIB_LOG_LEVEL=warn\n`, ours);
  expect(ours['DATABASE_URL']).toBe('postgres://app@db/app');
});

it('is silent where there is none, and refuses a named one that is not there', async () => {
  const { loadEnvFile } = await import('../src/env-file.ts');
  expect(loadEnvFile({})).toBeUndefined();
  vi.resetModules();
  const again = await import('../src/env-file.ts');
  expect(() => again.loadEnvFile({}, join(folder, 'no'))).toThrow(/cannot be read: ENOENT/);
});
