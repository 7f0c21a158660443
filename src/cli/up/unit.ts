import { join } from 'node:path';
import { DEFIB } from '../frame/self.ts';

export const UNITS = ['systemd', 'launchd'] as const;

export type UnitKind = (typeof UNITS)[number];

export type Unit = {
  /** The definition itself. */
  text: string;
  /** What to do with it. */
  advice: string;
};

type Settings = { dataDir: string; path: string };

/** The service as one of the user's own, started with the session and again after a crash. */
export function unitFor(kind: UnitKind, settings: Settings): Unit {
  return kind === 'systemd' ? systemdUnit(settings) : launchdUnit(settings);
}

function systemdUnit({ dataDir, path }: Settings): Unit {
  const text = `# Written by "defib up --print-unit systemd".
[Unit]
Description=Defib: heartbeats, checkpoints and resume for coding agents

[Service]
ExecStart=${[process.execPath, DEFIB, 'up'].map(quotedArgument).join(' ')}
Environment=${quoted(`DEFIB_DATA_DIR=${dataDir}`)}
# Agents that it starts are looked for here.
Environment=${quoted(`PATH=${path}`)}
# Further settings, one NAME=value a line.
EnvironmentFile=-%h/.config/defib/env
Restart=on-failure
# Agents that it started live on without it.
KillMode=process
TimeoutStopSec=40

[Install]
WantedBy=default.target
`;
  const file = '~/.config/systemd/user/defib.service';
  return { text, advice: `Save it as ${file}, then: systemctl --user enable --now defib` };
}

/** In double quotes, where "%" begins a specifier. */
const quoted = (text: string): string =>
  `"${text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', String.raw`\"`)
    .replaceAll('%', '%%')}"`;

/** In a command, "$" begins a variable too. */
const quotedArgument = (text: string): string => quoted(text).replaceAll('$', '$$$$');

function launchdUnit({ dataDir, path }: Settings): Unit {
  const strings = (values: string[]) =>
    values.map((value) => `    <string>${escaped(value)}</string>`).join('\n');
  const log = escaped(join(dataDir, 'service.log'));
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>defib</string>
  <key>ProgramArguments</key>
  <array>
${strings([process.execPath, DEFIB, 'up'])}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>DEFIB_DATA_DIR</key>
    <string>${escaped(dataDir)}</string>
    <key>PATH</key>
    <string>${escaped(path)}</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>AbandonProcessGroup</key>
  <true/>
  <key>StandardOutPath</key>
  <string>${log}</string>
  <key>StandardErrorPath</key>
  <string>${log}</string>
</dict>
</plist>
`;
  const file = '~/Library/LaunchAgents/defib.plist';
  return { text, advice: `Save it as ${file}, then: launchctl bootstrap gui/$(id -u) ${file}` };
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
