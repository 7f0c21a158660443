/** A text that comes this often is worth a name: those made up for one occasion never get one. */
const USES = 3;
/** Every connection keeps its own copy of what has a name. */
const MAX_NAMES = 200;
const MAX_TEXTS = 2000;

export type StatementNames = {
  /** The name under which to prepare a query, or undefined where it is better not prepared. */
  nameOf(text: unknown, values: unknown): string | undefined;
  /** Gives a text another name, because what is prepared under the old one no longer serves. */
  renew(text: string): void;
};

/** Finds the statements that come again, and names a bounded number of them. */
export function createStatementNames(): StatementNames {
  const names = new Map<string, string>();
  const uses = new Map<string, number>();
  let given = 0;
  const give = (text: string): string => {
    given += 1;
    const name = `defib_${given}`;
    names.set(text, name);
    return name;
  };

  return {
    nameOf: (text, values) => {
      // Without parameters the driver's simple protocol is cheaper, and BEGIN needs no plan.
      if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0) return;
      const name = names.get(text);
      if (name !== undefined || names.size >= MAX_NAMES) return name;
      const used = (uses.get(text) ?? 0) + 1;
      if (used >= USES) {
        uses.delete(text);
        return give(text);
      }
      if (used > 1 || uses.size < MAX_TEXTS) uses.set(text, used);
      return undefined;
    },
    renew: (text) => void give(text),
  };
}
