/**
 * Reads a whole table in pages of its key. Each page begins after the end of the previous page, so a table of any size
 * takes the memory of one page. The pages show one state of the database if the transaction has a snapshot.
 */
import type { EntityManager } from '@mikro-orm/sql';

/** Rows of one page. Larger pages are not faster. */
const PAGE_ROWS = 2_000;

/** A row in the form that the driver returns. */
export type StoredRow = Readonly<Record<string, unknown>>;

/** The rows to read from a table, and their order. */
export interface TableScan {
  /** The select list. It names the key's columns without a prefix. */
  readonly columns: string;
  /** The from clause, with its joins. */
  readonly source: string;
  /** The unique key: an id, or an account and a number in the account. Each is the name of a column of the source. */
  readonly key: readonly [id: string] | readonly [account: string, number: string];
}

/** Reads every row in ascending order of the key. */
export async function* pagesOf(
  em: EntityManager,
  { columns, source, key: [outer, inner] }: TableScan,
): AsyncGenerator<readonly StoredRow[]> {
  const order = inner === undefined ? outer : `${outer}, ${inner}`;
  const read = (where: string): Promise<StoredRow[]> =>
    em.execute(`select ${columns} from ${source} ${where} order by ${order} limit ${PAGE_ROWS}`);
  let page = await read('');
  for (;;) {
    const last = page.at(-1);
    if (!last) return;
    yield page;
    const outerLast = literal(last[nameOf(outer)]);
    if (inner !== undefined) {
      // The rest of the account is read first, then the accounts after it. Each read is one range of the index.
      const number = literal(last[nameOf(inner)]);
      page = await read(`where ${outer} = ${outerLast} and ${inner} > ${number}`);
      if (page.length > 0) continue;
    }
    page = await read(`where ${outer} > ${outerLast}`);
  }
}

/** Returns the name of a column in a row. */
function nameOf(column: string): string {
  return column.slice(column.indexOf('.') + 1);
}

/** Returns a key's value as a SQL literal. Ids are bytes; numbers are integers. */
function literal(value: unknown): string {
  if (value instanceof Uint8Array) return `x'${Buffer.from(value).toString('hex')}'`;
  return BigInt(String(value)).toString();
}
