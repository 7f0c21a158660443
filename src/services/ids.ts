import { v7 } from 'uuid';

/** A new id. UUIDv7: unique without asking, and in order of creation, which lists rely on. */
export const newId = (): string => v7();

/** The least id that could be made at a time, in milliseconds since 1970. */
export function firstIdAt(atMs: number): string {
  const time = Math.max(0, Math.floor(atMs)).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}
