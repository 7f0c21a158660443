import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { defib } from '../setup/defib.ts';
import { signalAt } from '../setup/points.ts';

/** The command lines that name a folder. */
const commandsIn = (folder: string): string[] =>
  readdirSync('/proc').flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
      return command.includes(folder) ? [command] : [];
    } catch {
      return [];
    }
  });

describe('a demo that is asked to end', () => {
  it('as its service starts leaves nothing', async () => {
    const scratch = mkdtempSync(join(tmpdir(), 'defib-demo-test-'));
    onTestFinished(() => rmSync(scratch, { recursive: true, force: true, maxRetries: 10 }));
    // As root, PostgreSQL runs as another user, who must be able to reach its data.
    chmodSync(scratch, 0o755);
    const env = { ...signalAt('^started .* up$', 'SIGTERM'), TMPDIR: scratch, HOME: scratch };
    const { code, stderr } = await defib(['demo'], { env });
    expect(stderr).toContain('SIGTERM: the demo is over.');
    expect(code).toBe(1);
    expect(commandsIn(scratch)).toEqual([]);
    expect(readdirSync(scratch)).toEqual([]);
  });
});
