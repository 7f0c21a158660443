import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { unitFor } from '../../src/cli/up/unit.ts';
import { DEFIB } from '../setup/defib.ts';

const settings = { dataDir: '/home/a b/100%/x"y&<z>$HOME', path: '/usr/bin:/home/a b/bin' };

it('a systemd unit quotes what systemd would read otherwise', () => {
  const { text, advice } = unitFor('systemd', settings);
  expect(text).toContain(`ExecStart="${process.execPath}" "${DEFIB}" "up"`);
  expect(text).toContain(String.raw`Environment="DEFIB_DATA_DIR=/home/a b/100%%/x\"y&<z>$HOME"`);
  expect(advice).toContain('systemctl --user enable --now defib');
});

it.skipIf(!existsSync('/usr/bin/systemd-analyze'))('systemd takes the unit', () => {
  const folder = mkdtempSync(join(tmpdir(), 'defib-unit-'));
  const file = join(folder, 'defib.service');
  writeFileSync(file, unitFor('systemd', settings).text);
  execFileSync('systemd-analyze', ['verify', file]);
  rmSync(folder, { recursive: true });
});

it('a property list for launchd is XML', () => {
  const { text, advice } = unitFor('launchd', settings);
  expect(text).toContain('<string>/home/a b/100%/x"y&amp;&lt;z&gt;$HOME</string>');
  expect(text).toContain(`<string>${DEFIB}</string>\n    <string>up</string>`);
  expect(advice).toContain('launchctl bootstrap');
});
