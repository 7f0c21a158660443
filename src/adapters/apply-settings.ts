import { isDeepStrictEqual } from 'node:util';
import { addEntry, removeEntries } from './edit-json.ts';
import { type Agent, type Fields, isFields } from './event.ts';
import { PLUGIN_MARK } from './plugins.ts';
import { type SettingsFile, SettingsError } from './settings.ts';

/**
 * What the file holds once Defib's settings are in it, whatever older ones of Defib were there.
 *
 * @param text what it holds now; null: it is not there
 * @throws SettingsError when the file is not what the agent would expect, or is somebody else's
 */
export function withSettings(file: SettingsFile, agent: Agent, text: string | null): string {
  if (file.kind === 'plugin') {
    if (text !== null && !text.startsWith(PLUGIN_MARK)) {
      throw new SettingsError('There is a file of this name that is not from Defib.');
    }
    return file.text;
  }
  if (text !== null && hasExactly(file, agent, text)) return text;
  return file.events.reduce(
    (edited, event) => addEntry(edited, ['hooks', event], file.group),
    withoutGroups(agent, text ?? ''),
  );
}

/** What the file holds once nothing of Defib is in it; null: it is to be deleted. */
export function withoutSettings(
  file: SettingsFile,
  agent: Agent,
  text: string | null,
): string | null {
  if (text === null) return null;
  if (file.kind === 'plugin') return text.startsWith(PLUGIN_MARK) ? null : text;
  const rest = withoutGroups(agent, text);
  return rest !== text && rest.trim() === '{}' ? null : rest;
}

const withoutGroups = (agent: Agent, text: string) => removeEntries(text, 'hooks', ours(agent));

/** A group of hooks with one command that ends in `hook <agent>`: nobody else writes that. */
const ours =
  (agent: Agent) =>
  ({ hooks }: Fields): boolean => {
    const [hook, ...others] = Array.isArray(hooks) ? (hooks as unknown[]) : [];
    return (
      others.length === 0 && isFields(hook) && String(hook['command']).endsWith(` hook ${agent}`)
    );
  };

/** Whether each event has our group once, as it is now, and no other event has one. */
function hasExactly(
  { events, group }: SettingsFile & { kind: 'hooks' },
  agent: Agent,
  text: string,
): boolean {
  const found: string[] = [];
  const differs: Fields[] = [];
  removeEntries(text, 'hooks', (entry, event) => {
    if (ours(agent)(entry)) found.push(event);
    if (ours(agent)(entry) && !isDeepStrictEqual(entry, group)) differs.push(entry);
    return false;
  });
  return differs.length === 0 && isDeepStrictEqual(found.sort(), [...events].sort());
}
