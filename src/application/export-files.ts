/**
 * Opens files to export. The first reads find the subject, and fix what the file has: a statement has the ledger
 * entries between two sequences, so an entry that is added meanwhile is in it as a whole or not at all. Everything else
 * is read by pages while the client takes the file. No transaction lasts from one page to the next.
 *
 * An order may change between two pages. The file of an order that changed is not finished, so that no client takes a
 * mixture for the order.
 */
import { ChangedMeanwhileError, RowsDeletedError } from '../domain/errors.js';
import type { ExportRequest, ExportSubject, StatementDays } from '../domain/export.js';
import type { NewId } from '../domain/id.js';
import { formatAmount } from '../domain/money.js';
import { firstPositionOf } from '../domain/postings.js';
import { dayOfIn, endOfDay } from '../domain/time-zone.js';
import type { Account } from '../entities/account.entity.js';
import type { BulkTransfer } from '../entities/bulk-transfer.entity.js';
import type { BulkTransferOrder } from '../entities/bulk-transfer-order.entity.js';
import type { IncomingTransfer } from '../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../entities/ledger-entry.entity.js';
import type { OrderRow } from '../entities/order-row.entity.js';
import type { Transfer } from '../entities/transfer.entity.js';
import type { Clock } from './ports/clock.js';
import type {
  ExportedTransfer,
  ExportScope,
  FileWriters,
  OpenExport,
  StatementEntry,
  TransfersContent,
} from './ports/exports.js';
import type { OrderStore } from './ports/order-store.js';
import type { SequenceRange } from './ports/scoped-ledger-reader.js';
import { type AccountStatement, readStatement } from './read-statement.js';

/** The number of rows of one read. A page takes the event loop some milliseconds. */
const PAGE_ROWS = 500;

/** The largest number of transfers of one entry that a statement lists. Beyond it, the entry has only their number. */
const INCOMING_LISTED_MAX = 500;

interface OpenExportPorts {
  readonly orders: Pick<OrderStore, 'byId' | 'rows' | 'rowIndexAt'>;
  readonly writers: FileWriters;
  readonly clock: Clock;
  readonly newId: NewId;
}

/** Makes the use case that opens files. */
export function makeOpenExport(ports: OpenExportPorts): OpenExport {
  return async ({ kind, subject }: ExportRequest, scope) => {
    if (kind === 'STATEMENT_CAMT_053' || kind === 'STATEMENT_CSV') {
      if (subject.type !== 'statement') throw new Error(`${kind} is a file of an account`);
      const account = await scope.reader.accountByIban(subject.iban);
      if (!account) return null;
      const statement = await readStatement(account, subject, scope.reader);
      const hasDetails = kind === 'STATEMENT_CAMT_053';
      return ports.writers.statements[kind]({
        ...factsOf(ports, account),
        ...statement,
        days: subject,
        pages: statementPages(statement, { days: subject, hasDetails, scope }),
      });
    }
    const content = await openTransfers(subject, ports, scope);
    return content && ports.writers.transfers[kind](content);
  };
}

function factsOf({ newId, clock }: Pick<OpenExportPorts, 'newId' | 'clock'>, account: Account) {
  return { id: newId().replaceAll('-', ''), createdAt: clock(), account };
}

/** What the pages of a statement have, and who reads them. */
interface StatementReading {
  readonly days: StatementDays;
  readonly hasDetails: boolean;
  readonly scope: ExportScope;
}

async function* statementPages(
  { account, within }: AccountStatement,
  { days, hasDetails, scope }: StatementReading,
): AsyncGenerator<readonly StatementEntry[]> {
  const dayOf = ascendingDaysIn(days.timeZone);
  const incoming = new IncomingTransfers(account.id, within, scope);
  for await (const entries of entryPages(account.id, within, scope)) {
    const counts = hasDetails ? await bulkCounts(entries, scope) : undefined;
    let page: StatementEntry[] = [];
    let listed = 0;
    for (const entry of entries) {
      const isCredited = hasDetails && entry.kind === 'BOOK_TRANSFER';
      const { count, transfers } = isCredited ? await incoming.of(entry) : NONE;
      const transferCount = counts?.get(entry.bulkTransferId ?? '') ?? count;
      page.push({
        entry,
        day: dayOf(entry.createdAt),
        transferCount,
        incomingTransfers: transfers,
      });
      listed += transfers.length;
      if (listed < PAGE_ROWS) continue;
      yield page;
      page = [];
      listed = 0;
    }
    yield page;
  }
}

const NONE = { count: undefined, transfers: [] } as const;

async function* entryPages(
  accountId: string,
  within: Required<SequenceRange>,
  { reader, payForRows }: ExportScope,
): AsyncGenerator<readonly LedgerEntry[]> {
  const range = { size: PAGE_ROWS, fromEnd: false };
  // Each page has its own first sequence. With a place after the first one of all, SQLite would read from there.
  for (let { first } = within; first <= within.last; ) {
    await payForRows(PAGE_ROWS);
    const rest = { first, last: within.last };
    const { nodes } = await reader.entries(accountId, rest, 'oldest-first', range);
    const last = nodes.at(-1);
    if (!last) throw new Error('A ledger entry of a statement is missing');
    yield nodes;
    first = last.sequence + 1n;
  }
}

/** Returns the number of transfers of each bulk of some entries. */
async function bulkCounts(
  entries: readonly LedgerEntry[],
  { reader }: ExportScope,
): Promise<ReadonlyMap<string, number>> {
  const ids = entries.flatMap(({ kind, bulkTransferId }) =>
    kind === 'BULK_TRANSFER' && bulkTransferId !== null ? [bulkTransferId] : [],
  );
  if (ids.length === 0) return new Map();
  const bulks = await reader.bulkTransfersById(ids);
  return new Map(bulks.flatMap((bulk) => (bulk ? [[bulk.id, bulk.transferCount]] : [])));
}

/**
 * Reads the incoming transfers of a statement along with its entries. Both are in the order of the ledger, so each is
 * read once, by pages.
 */
class IncomingTransfers {
  readonly #end: bigint;
  #last: bigint;
  #page: IncomingTransfer[] = [];
  #next = 0;

  constructor(
    private readonly accountId: string,
    { first, last }: Required<SequenceRange>,
    private readonly scope: ExportScope,
  ) {
    this.#last = firstPositionOf(first) - 1n;
    this.#end = firstPositionOf(last + 1n);
  }

  /** Returns the number of transfers that an entry credited, and the transfers unless they are too many. */
  async of({
    sequence,
  }: LedgerEntry): Promise<{ count: number; transfers: readonly IncomingTransfer[] }> {
    let count = 0;
    const transfers: IncomingTransfer[] = [];
    for (;;) {
      const transfer = await this.#peek();
      if (!transfer || transfer.sequence > sequence) break;
      this.#next += 1;
      if (transfer.sequence < sequence) continue;
      count += 1;
      if (count <= INCOMING_LISTED_MAX) transfers.push(transfer);
    }
    return { count, transfers: count > INCOMING_LISTED_MAX ? [] : transfers };
  }

  async #peek(): Promise<IncomingTransfer | undefined> {
    const next = this.#page[this.#next];
    if (next || this.#last >= this.#end) return next;
    await this.scope.payForRows(PAGE_ROWS);
    // The list is newest first, so its end has the oldest ones. An empty filter needs no search table.
    const range = { size: PAGE_ROWS, fromEnd: true, before: this.#last, after: this.#end };
    const { nodes } = await this.scope.reader.incomingTransfers(this.accountId, {}, range);
    this.#page = nodes.toReversed();
    this.#next = 0;
    this.#last = this.#page.at(-1)?.position ?? this.#end;
    return this.#page[0];
  }
}

/** Returns a function that returns the day of moments which never go back. It converts one moment of each day. */
function ascendingDaysIn(timeZone: string): (moment: Date) => string {
  const dayOf = dayOfIn(timeZone);
  let day = '';
  let end = new Date(0);
  return (moment) => {
    if (day === '' || moment >= end) {
      day = dayOf(moment);
      end = endOfDay(day, timeZone);
    }
    return day;
  };
}

async function openTransfers(
  subject: ExportSubject,
  ports: OpenExportPorts,
  scope: ExportScope,
): Promise<TransfersContent | null> {
  if (subject.type === 'statement') throw new Error('A statement has entries, not transfers');
  // An id that is no UUID is empty.
  if (subject.id === '') return null;
  if (subject.type === 'order') return openOrder(subject.id, ports, scope);
  const [bulk] = await scope.reader.bulkTransfersById([subject.id]);
  const [account] = bulk ? await scope.reader.accountsById([bulk.accountId]) : [];
  if (!bulk || !account) return null;
  return {
    ...factsOf(ports, account),
    type: 'bulk-transfer',
    subjectId: bulk.id,
    name: null,
    fileName: null,
    status: 'PERFORMED',
    failure: undefined,
    transferCount: bulk.transferCount,
    performedCount: bulk.transferCount,
    totalAmountMinor: bulk.totalAmountMinor,
    performedAt: bulk.createdAt,
    pages: transferPages(bulk, scope),
  };
}

async function* transferPages(
  bulk: BulkTransfer,
  { reader, payForRows }: ExportScope,
): AsyncGenerator<readonly ExportedTransfer[]> {
  let after = firstPositionOf(bulk.sequence) - 1n;
  for (let read = 0; read < bulk.transferCount; ) {
    await payForRows(PAGE_ROWS);
    const range = { size: PAGE_ROWS, fromEnd: false, after };
    const { nodes } = await reader.transfersOfBulk(bulk, range);
    const last = nodes.at(-1);
    if (!last) throw new Error('A transfer of a bulk is missing');
    yield nodes.map((transfer) => performedTransfer(transfer, bulk.currency));
    read += nodes.length;
    after = last.position;
  }
}

function performedTransfer(transfer: Transfer, currency: string): ExportedTransfer {
  const { amountMinor, counterpartyName, counterpartyIban, counterpartyBic } = transfer;
  const { description, endToEndId } = transfer;
  const amount = formatAmount(amountMinor, currency);
  return {
    ...{ amount, amountMinor, currency, counterpartyName, counterpartyIban, counterpartyBic },
    ...{ description, endToEndId, line: null, problems: [] },
  };
}

/** @throws RowsDeletedError */
async function openOrder(
  id: string,
  ports: OpenExportPorts,
  scope: ExportScope,
): Promise<TransfersContent | null> {
  const { orders } = ports;
  const order = await orders.byId(id, scope.organizations);
  const [account] = order ? await scope.reader.accountsById([order.accountId]) : [];
  if (!order || !account) return null;
  // Rows are deleted from the first one on, so the last place is the first that is empty.
  const isWhole =
    order.rowCount === 0 || (await orders.rowIndexAt(id, order.rowCount - 1)) !== undefined;
  if (!isWhole) throw new RowsDeletedError();
  return {
    ...factsOf(ports, account),
    type: 'order',
    subjectId: id,
    name: order.name,
    fileName: order.fileName,
    status: order.status,
    failure: order.failure,
    transferCount: order.rowCount,
    performedCount: performedRows(order),
    totalAmountMinor: order.totalMinor,
    performedAt: order.performedAt,
    pages: rowPages(order, ports, scope),
  };
}

/** Returns the number of rows whose bulk is performed. */
function performedRows({ status, rowCount, performedBulks, bulkRowsMax }: BulkTransferOrder) {
  if (status === 'PERFORMED') return rowCount;
  return Math.min(rowCount, performedBulks * (bulkRowsMax ?? 0));
}

/** @throws ChangedMeanwhileError after the last row */
async function* rowPages(
  order: BulkTransferOrder,
  { orders }: Pick<OpenExportPorts, 'orders'>,
  { organizations, payForRows }: ExportScope,
): AsyncGenerator<readonly ExportedTransfer[]> {
  let after = -1n;
  let read = 0;
  for (let hasMore = order.rowCount > 0; hasMore; ) {
    await payForRows(PAGE_ROWS);
    const page = await orders.rows(order.id, false, { size: PAGE_ROWS, fromEnd: false, after });
    yield page.nodes.map(sentTransfer);
    read += page.nodes.length;
    after = page.nodes.at(-1)?.rowIndex ?? after;
    hasMore = page.hasNextPage;
  }
  const now = await orders.byId(order.id, organizations);
  const isSame = now?.changedAt.getTime() === order.changedAt.getTime() && read === order.rowCount;
  if (!isSame) throw new ChangedMeanwhileError('The order changed while it was exported.');
}

function sentTransfer(row: OrderRow): ExportedTransfer {
  const { amount, amountMinor, counterpartyName, counterpartyIban, counterpartyBic } = row;
  const { currency, description, endToEndId, line, problems } = row;
  return {
    ...{ amount, amountMinor, currency, counterpartyName, counterpartyIban, counterpartyBic },
    ...{ description, endToEndId, line, problems },
  };
}
