import { type Check, VIOLATIONS_LISTED_MAX, type Violation } from './check.js';
import { pagesOf, type StoredRow, type TableScan } from './table-pages.js';

/** Receives the rows of one scan, in order. */
export interface RowWatcher {
  /** Returns the violation that this row completes, if any. */
  see(row: StoredRow): Violation | undefined;
  /** Called after the last row. */
  end?(): Violation | undefined;
}

/** An invariant that needs the domain's own functions. It sees each row once. */
export interface RowRule {
  readonly statement: string;
  watch(): RowWatcher;
}

/** Checks all rules of a table in one scan. The scan holds one page of rows in memory. */
export function rowCheck(scan: TableScan, rules: readonly RowRule[]): Check {
  return {
    statements: rules.map(({ statement }) => statement),
    run: async (em) => {
      const watched = rules.map(({ statement, watch }) => ({
        statement,
        watcher: watch(),
        violations: [] as Violation[],
      }));
      for await (const page of pagesOf(em, scan)) {
        for (const { watcher, violations } of watched) {
          for (const row of page) note(violations, watcher.see(row));
        }
      }
      for (const { watcher, violations } of watched) note(violations, watcher.end?.());
      return watched.map(({ statement, violations }) => ({ statement, violations }));
    },
  };
}

function note(violations: Violation[], violation: Violation | undefined): void {
  if (violation && violations.length < VIOLATIONS_LISTED_MAX) violations.push(violation);
}

/** Tells whether the server could have written a stored value. */
export type Form = (value: unknown) => boolean;

/** Returns the columns that identify a row in a violation. */
export type RowName = (row: StoredRow) => Violation;

/** Names a row by its id. */
export function rowOf(kind: string): RowName {
  return ({ id }) => ({ [kind]: hexOf(id) });
}

/** Names a transfer by its account and its position. */
export const placeOf: RowName = ({ account_id, position }) => ({
  account: hexOf(account_id),
  position: String(position),
});

/** Makes the rule that each column has its form. A violation names the row and the wrong columns. */
export function formRule(
  statement: string,
  nameOf: RowName,
  forms: Readonly<Record<string, Form>>,
): RowRule {
  const entries = Object.entries(forms);
  const see = (stored: StoredRow) => {
    if (entries.every(([column, isRight]) => isRight(stored[column]))) return undefined;
    const wrong = entries.filter(([column, isRight]) => !isRight(stored[column]));
    return { ...nameOf(stored), columns: wrong.map(([column]) => column).join(', ') };
  };
  return { statement, watch: () => ({ see }) };
}

/** Returns an id in the form of SQL's hex(). */
export function hexOf(value: unknown): string {
  return value instanceof Uint8Array ? bytesOf(value).toString('hex').toUpperCase() : String(value);
}

/** Returns the id of an entity in the form of SQL's hex(). */
export function hexOfId(id: string): string {
  return id.replaceAll('-', '').toUpperCase();
}

/** Returns the text of a column that the databases store as text or as bytes. */
export function textOf(value: unknown): string {
  return value instanceof Uint8Array ? bytesOf(value).toString() : String(value);
}

/** Returns a Buffer over the same bytes. A copy would take longer than the comparison. */
function bytesOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
