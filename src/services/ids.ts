import { v7 } from 'uuid';

/** A new id. UUIDv7: unique without asking, and in order of creation, which lists rely on. */
export const newId = (): string => v7();
