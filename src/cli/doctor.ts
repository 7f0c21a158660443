import { styleText } from 'node:util';
import type { Command } from 'commander';
import { readEnvFile } from '../process.ts';
import { configChecks } from './doctor/config.ts';
import type { Finding } from './doctor/finding.ts';
import { gitCheck, nodeCheck } from './doctor/machine.ts';
import { serverChecks } from './doctor/server.ts';
import { type OutputOptions, print, withJson } from './frame/output.ts';
import { oneLine } from './frame/printable.ts';

export function define(command: Command): void {
  withJson(command)
    .description(
      'Looks at this machine, the settings in the environment and the service, and says what is\n' +
        'wrong and how to fix it. Exits with 1 when something is wrong. Changes nothing.',
    )
    .addHelpText(
      'after',
      `
Examples:
  defib doctor
  DEFIB_URL=https://defib.example.com DEFIB_TOKEN=… defib doctor
  defib doctor --json | jq -r '.findings[] | select(.state == "wrong") | .fix'`,
    )
    .action(doctor);
}

async function doctor(options: OutputOptions): Promise<void> {
  // As a service that is started here would.
  readEnvFile();
  const groups = [nodeCheck(), gitCheck(), configChecks(), serverChecks()];
  const findings = (await Promise.all(groups)).flat();
  const ok = findings.every(({ state }) => state !== 'wrong');
  print({ ok, findings }, options, () => [...findings.map(line), '', verdict(findings)].join('\n'));
  if (!ok) process.exitCode = 1;
}

const MARKS = {
  ok: styleText('green', 'ok     ', { stream: process.stdout }),
  wrong: styleText('red', 'WRONG  ', { stream: process.stdout }),
  skipped: styleText('dim', 'skipped', { stream: process.stdout }),
};

function line({ check, state, detail, fix }: Finding): string {
  const told = `${MARKS[state]}  ${check}: ${oneLine(detail)}`;
  return fix === undefined ? told : `${told}\n         fix it: ${oneLine(fix)}`;
}

function verdict(findings: Finding[]): string {
  const wrong = findings.filter(({ state }) => state === 'wrong').length;
  return wrong === 0
    ? 'Nothing is wrong.'
    : `${wrong} of ${findings.length} checks found a mistake.`;
}
