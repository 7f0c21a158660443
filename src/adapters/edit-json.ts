import {
  findNodeAtLocation,
  getNodeValue,
  type JSONPath,
  type Node,
  type ParseError,
  parseTree,
} from 'jsonc-parser';
import { type Fields, isFields } from './event.ts';
import { SettingsError } from './settings.ts';

/**
 * Edits of a settings file that leave every other byte as it is, comments and layout included, so that
 * what was added can be taken out again to the byte. (`modify` of jsonc-parser lays out anew whatever
 * it touches.) Text is JSON, or JSON with comments; an empty text is an empty object.
 */

/** Adds an entry at the end of the array at this path of keys, which is made where it is missing. */
export function addEntry(text: string, keys: string[], entry: Fields): string {
  const source = text.trim() === '' ? '{}\n' : text;
  const root = rootOf(source);
  const depth = keys.findLastIndex((_, n) => findNodeAtLocation(root, keys.slice(0, n + 1))) + 1;
  const container = depth === 0 ? root : findNodeAtLocation(root, keys.slice(0, depth));
  const missing = keys.slice(depth);
  if (container?.type !== (missing.length > 0 ? 'object' : 'array')) {
    throw new SettingsError(`"${keys.slice(0, depth).join('.')}" is not what the agent expects.`);
  }
  const [key, ...inner] = missing;
  const value = inner.reduceRight<unknown>(
    (nested, name) => ({ [name]: nested }),
    key === undefined ? entry : [entry],
  );
  return insert(source, container, key, value);
}

/** Takes out the entries of the object at this key that are ours, and what they leave empty. */
export function removeEntries(
  text: string,
  key: string,
  isOurs: (entry: Fields, key: string) => boolean,
): string {
  if (text.trim() === '') return text;
  const node = findNodeAtLocation(rootOf(text), [key]);
  const path = node && firstOurs(node, isOurs);
  if (!path) return text;
  return removeEntries(removeNode(text, [key, ...path]), key, isOurs);
}

function firstOurs(
  node: Node,
  isOurs: (entry: Fields, key: string) => boolean,
): JSONPath | undefined {
  for (const property of node.type === 'object' ? (node.children ?? []) : []) {
    const [name, list] = property.children ?? [];
    const entries = list?.type === 'array' ? (list.children ?? []) : [];
    const index = entries.findIndex((entry) => {
      const value: unknown = getNodeValue(entry);
      return isFields(value) && isOurs(value, String(name?.value));
    });
    if (index !== -1) return [String(name?.value), index];
  }
  return undefined;
}

/** Removes the node, and around it whatever has then nothing in it, but never the root. */
function removeNode(text: string, path: JSONPath): string {
  const root = rootOf(text);
  const node = findNodeAtLocation(root, path);
  // A member of an object is its property, name and value.
  const child = node?.parent?.type === 'property' ? node.parent : node;
  const siblings = child?.parent?.children;
  if (!child || !siblings) return text;
  if (siblings.length === 1 && path.length > 1) return removeNode(text, path.slice(0, -1));
  const index = siblings.indexOf(child);
  const previous = siblings[index - 1];
  const next = siblings[index + 1];
  const { offset, length } = child.parent ?? root;
  const [start, end] = previous
    ? [endOf(previous), endOf(child)]
    : next
      ? [child.offset, next.offset]
      : [offset + 1, offset + length - 1];
  return text.slice(0, start) + text.slice(end);
}

function insert(text: string, container: Node, key: string | undefined, value: unknown): string {
  const layout = layoutOf(text);
  const children = container.children ?? [];
  const first = children[0];
  const last = children.at(-1);
  const empty = text.slice(container.offset + 1, endOf(container) - 1).trim() === '';
  const lineIndent = indentAt(text, first?.offset ?? container.offset);
  const multiline = first
    ? text.slice(container.offset, first.offset).includes('\n')
    : text.includes('\n');
  const indent = first ? lineIndent : lineIndent + layout.unit;
  const name = key === undefined ? '' : `${JSON.stringify(key)}: `;
  const json = multiline
    ? JSON.stringify(value, null, layout.unit).replaceAll('\n', layout.eol + indent)
    : JSON.stringify(value);
  const lead = multiline ? layout.eol + indent : last ? ' ' : '';
  if (last) {
    const at = endOf(last);
    return `${text.slice(0, at)},${lead}${name}${json}${text.slice(at)}`;
  }
  if (!empty) throw new SettingsError('A list with nothing but comments in it cannot be edited.');
  const tail = multiline ? layout.eol + lineIndent : '';
  const [start, end] = [container.offset + 1, endOf(container) - 1];
  return `${text.slice(0, start)}${lead}${name}${json}${tail}${text.slice(end)}`;
}

const endOf = ({ offset, length }: Node): number => offset + length;

/** The white space that begins the line of this place. */
function indentAt(text: string, offset: number): string {
  const line = text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset);
  return /^[ \t]*/.exec(line)?.[0] ?? '';
}

function layoutOf(text: string): { unit: string; eol: string } {
  return {
    unit: /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ',
    eol: text.includes('\r\n') ? '\r\n' : '\n',
  };
}

function rootOf(text: string): Node {
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (!root || error) {
    const line = text.slice(0, error?.offset ?? 0).split('\n').length;
    throw new SettingsError(`It is not valid JSON (line ${line}).`);
  }
  if (root.type !== 'object') throw new SettingsError('It is not a JSON object.');
  return root;
}
