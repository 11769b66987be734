/**
 * Makes the events of outbox messages about accounts from the ledger; the messages contain only ids. The rows of many
 * messages are read together, and a large bulk is read page by page. Memory is limited for bulks of any size.
 */
import type { AccountHead } from '../../application/ports/account-head.js';
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import type { Page, PageRange } from '../../application/ports/page.js';
import { sequenceOf } from '../../domain/postings.js';
import type { Account } from '../../entities/account.entity.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import type { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import type { OutboxMessage } from '../../entities/outbox-message.entity.js';
import type { Transfer } from '../../entities/transfer.entity.js';
import { type EventMessage, eventOf, type MessageFacts } from './events.js';

/** The number of transfers in one read, of one bulk or of several small bulks. */
const TRANSFERS_PAGE = 500;

/**
 * Yields the events of messages of one account, in the order of the messages. For a bulk, these are the bulk, its
 * transfers, the credits to accounts of this server, and each transfer as its payee sees it. For a credit, this is
 * the credit.
 * @throws Error if a message refers to a row that the ledger does not have
 */
export async function* accountEvents(
  messages: readonly MessageFacts[],
  reader: LedgerReader,
): AsyncIterable<EventMessage> {
  const rows = await readLedgerRows(messages, reader);
  const bulks = [...rows.bulkTransfers.values()];
  const transfers = new RowPages(bulks, {
    ofBulks: (some) => reader.transfersOfBulks(some),
    ofBulk: (bulk, range) => reader.transfersOfBulk(bulk, range),
    positionOf: ({ position }: Transfer) => position,
  });
  const incomingTransfers = new RowPages(
    bulks.filter(({ id }) => rows.receipts.has(id)),
    {
      ofBulks: (some) => reader.incomingTransfersOfBulks(some),
      ofBulk: (bulk, range) => reader.incomingTransfersOfBulk(bulk, range),
      positionOf: ({ payerPosition }: IncomingTransfer) => payerPosition,
    },
  );
  for (const { type, sequence, traceparent } of messages) {
    if (type === 'account.credited') {
      const entry = required(rows.credits.get(sequence), 'The ledger entry does not exist');
      yield eventOf(type, entry, rows.account, traceparent);
      continue;
    }
    if (type === 'order.changed') throw new Error('The message is about an order');
    const bulk = required(rows.bulkTransfers.get(sequence), 'The bulk transfer does not exist');
    // A new type of message does not compile here.
    yield eventOf<'bulk-transfer.performed'>(type, bulk, rows.account, traceparent);
    for await (const transfer of transfers.of(bulk)) {
      yield eventOf('transfer.performed', transfer, rows.account, traceparent);
    }
    const receipts = rows.receipts.get(bulk.id);
    if (!receipts) continue;
    const receivers = new Map(receipts.map(({ receiver }) => [receiver.id, receiver]));
    for (const { entry, receiver } of receipts)
      yield eventOf('account.credited', entry, receiver, traceparent);
    for await (const transfer of incomingTransfers.of(bulk)) {
      const receiver = required(receivers.get(transfer.accountId), 'The payee was not credited');
      yield eventOf('transfer.received', transfer, receiver, traceparent);
    }
  }
}

/**
 * Returns the heads of all accounts that messages of one account concern: the account, and the accounts that its
 * bulks credited.
 * @throws Error if a message refers to a row that the ledger does not have
 */
export async function accountHeads(
  messages: readonly MessageFacts[],
  reader: LedgerReader,
): Promise<readonly AccountHead[]> {
  const sequences = messages.map(({ sequence }) => sequence);
  const heads = await reader.headsAfter(messages[0]?.subjectId ?? '', sequences);
  if (heads.length === 0) throw new Error('The ledger entry does not exist');
  return heads;
}

/** The credit of a bulk to an account of this server. */
interface Receipt {
  readonly entry: LedgerEntry;
  readonly receiver: Account;
}

interface LedgerRows {
  readonly account: Account;
  /** Bulks by sequence. */
  readonly bulkTransfers: ReadonlyMap<bigint, BulkTransfer>;
  readonly credits: ReadonlyMap<bigint, LedgerEntry>;
  /** Receipts by bulk id. */
  readonly receipts: ReadonlyMap<string, readonly Receipt[]>;
}

async function readLedgerRows(
  messages: readonly MessageFacts[],
  reader: LedgerReader,
): Promise<LedgerRows> {
  const accountId = messages[0]?.subjectId ?? '';
  const sequencesOf = (wanted: OutboxMessage['type']) =>
    messages.filter(({ type }) => type === wanted).map(({ sequence }) => sequence);
  const [accounts, bulkTransfers, credits] = await Promise.all([
    reader.accountsById([accountId]),
    reader.bulkTransfersAt(accountId, sequencesOf('bulk-transfer.performed')),
    reader.entriesAt(accountId, sequencesOf('account.credited')),
  ]);
  return {
    account: required(accounts[0] ?? undefined, 'The account does not exist'),
    bulkTransfers: new Map(bulkTransfers.map((bulk) => [bulk.sequence, bulk])),
    credits: new Map(credits.map((entry) => [entry.sequence, entry])),
    receipts: await readReceipts(bulkTransfers, reader),
  };
}

async function readReceipts(
  bulkTransfers: readonly BulkTransfer[],
  reader: LedgerReader,
): Promise<ReadonlyMap<string, readonly Receipt[]>> {
  const entries = await reader.bookEntriesOf(bulkTransfers.map(({ id }) => id));
  const receivers = await reader.accountsById(entries.map(({ accountId }) => accountId));
  const receipts = entries.map((entry, index) => ({
    entry,
    receiver: required(receivers[index] ?? undefined, 'The credited account does not exist'),
  }));
  return Map.groupBy(receipts, ({ entry }) => entry.bulkTransferId ?? '');
}

/** Reads the rows of bulks of one account, and returns the position that orders them in the payer's history. */
interface RowSource<Row> {
  ofBulks(bulkTransfers: readonly BulkTransfer[]): Promise<readonly Row[]>;
  ofBulk(bulkTransfer: BulkTransfer, range: PageRange<bigint>): Promise<Page<Row>>;
  positionOf(row: Row): bigint;
}

/** Rows of bulks that are requested one after the other. Small bulks are read together, large bulks page by page. */
class RowPages<Row> {
  /** The rows that were read ahead, by the sequence of their bulk. */
  #readAhead = new Map<bigint, Row[]>();

  constructor(
    private readonly bulkTransfers: readonly BulkTransfer[],
    private readonly source: RowSource<Row>,
  ) {}

  async *of(bulk: BulkTransfer): AsyncIterable<Row> {
    if (bulk.transferCount > TRANSFERS_PAGE) {
      yield* this.#pagesOf(bulk);
      return;
    }
    if (!this.#readAhead.has(bulk.sequence)) await this.#readFrom(bulk);
    yield* this.#readAhead.get(bulk.sequence) ?? [];
  }

  async #readFrom(bulk: BulkTransfer): Promise<void> {
    const together: BulkTransfer[] = [];
    let count = 0;
    for (const next of this.bulkTransfers.slice(this.bulkTransfers.indexOf(bulk))) {
      count += next.transferCount;
      if (count > TRANSFERS_PAGE) break;
      together.push(next);
    }
    const rows = await this.source.ofBulks(together);
    this.#readAhead = Map.groupBy(rows, (row) => sequenceOf(this.source.positionOf(row)));
  }

  async *#pagesOf(bulk: BulkTransfer): AsyncIterable<Row> {
    let after: bigint | undefined;
    for (let hasNextPage = true; hasNextPage; ) {
      const range = { size: TRANSFERS_PAGE, fromEnd: false, ...(after !== undefined && { after }) };
      const page = await this.source.ofBulk(bulk, range);
      yield* page.nodes;
      const last = page.nodes.at(-1);
      after = last && this.source.positionOf(last);
      hasNextPage = page.hasNextPage;
    }
  }
}

/** @throws Error if the value is undefined. The message then cannot be published, and is finally parked */
function required<Value>(value: Value | undefined, message: string): Value {
  if (value === undefined) throw new Error(message);
  return value;
}
