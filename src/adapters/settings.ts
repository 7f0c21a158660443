import type { Fields } from './event.ts';

/** One file through which an agent is told of Defib. */
export type SettingsFile =
  | {
      /**
       * JSON with the hooks table that Claude Code brought up and Codex and Gemini CLI took over: for
       * each event a list of groups, and in each group a list of commands. What else is in the file
       * is kept.
       */
      kind: 'hooks';
      path: string;
      events: readonly string[];
      /** The same for each event. */
      group: Fields;
    }
  | {
      kind: 'plugin';
      path: string;
      /** The whole file: it is Defib's alone. */
      text: string;
    };

/** A file that is not what it should be. Its message is for the user. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

export const commandHooks = (
  path: string,
  events: readonly string[],
  hook: Fields & { command: string },
): SettingsFile => ({
  kind: 'hooks',
  path,
  events,
  group: { hooks: [{ ...hook, type: 'command', command: inSession(hook.command) }] },
});

/**
 * Outside of a session, and for who has no Defib, the hook costs nothing and does nothing. The two
 * stand apart because Gemini CLI fills in what is set when it reads its settings, and leaves the name
 * of what is not: `$A$B` would become `$Avalue`.
 */
const inSession = (command: string) =>
  `test -z "$DEFIB_SESSION_DIR""$DEFIB_SESSION_ID" || ${command}`;
