/** One thing in a conversation, whatever agent recorded it, in the order of time. */
export type Entry =
  | { kind: 'said'; by: 'user' | 'agent'; text: string }
  | { kind: 'call'; id: string; tool: string; input: unknown; at?: string | undefined }
  | { kind: 'result'; id: string }
  | { kind: 'plan'; text: string }
  | { kind: 'todos'; todos: Todo[] };

export type Todo = { text: string; state: 'open' | 'doing' | 'done' };

/** Agents spell the states of a to-do in a few ways. */
export function todo(text: unknown, status: unknown): Todo[] {
  if (typeof text !== 'string' || text === '') return [];
  switch (status) {
    case 'completed':
    case 'done':
      return [{ text, state: 'done' }];
    case 'in_progress':
      return [{ text, state: 'doing' }];
    case 'cancelled':
    case 'deleted':
      return [];
    default:
      return [{ text, state: 'open' }];
  }
}
