/**
 * Makes the events of outbox messages, which carry ids alone, from the ledger. What many messages tell
 * of is read together, and a large bulk page by page: memory is bounded whatever its size.
 */
import type { AccountHead, LedgerReader } from '../../application/ports.js';
import type { Account } from '../../entities/account.entity.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import type { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import type { OutboxMessage } from '../../entities/outbox-message.entity.js';
import type { Transfer } from '../../entities/transfer.entity.js';
import { type LeasedMessage, lastHeads } from '../database/outbox.js';
import type { EventMessage } from './broker.js';
import { accountCredited, bulkTransferPerformed, transferPerformed } from './events.js';

/** Transfers read at once: of one bulk, or of several small ones. */
const TRANSFERS_PAGE = 500;

/** What of a message says what it tells of. */
type Told = Pick<OutboxMessage, 'type' | 'accountId' | 'sequence' | 'traceparent'>;

/**
 * The events of messages of one account, in their order: a bulk, its transfers, and what accounts of
 * this server received by it; or a credit.
 * @throws Error where a message tells of what is not in the ledger
 */
export async function* eventsOf(
  messages: readonly Told[],
  reader: LedgerReader,
): AsyncIterable<EventMessage> {
  const happened = await readHappenings(messages, reader);
  const transfers = new TransferPages(reader, [...happened.bulkTransfers.values()]);
  for (const { type, sequence, traceparent } of messages) {
    if (type === 'account.credited') {
      const entry = required(happened.credits.get(sequence), 'The ledger entry does not exist');
      yield accountCredited(entry, happened.account, traceparent);
      continue;
    }
    const bulk = required(happened.bulkTransfers.get(sequence), 'The bulk transfer does not exist');
    yield bulkTransferPerformed(bulk, happened.account, traceparent);
    for await (const transfer of transfers.of(bulk)) {
      yield transferPerformed(transfer, happened.account, traceparent);
    }
    for (const { entry, receiver } of happened.receipts.get(bulk.id) ?? []) {
      yield accountCredited(entry, receiver, traceparent);
    }
  }
}

/**
 * How far the accounts have come that messages of one account are about: it, and those that its bulks
 * credited.
 * @throws Error where they tell of what is not in the ledger
 */
export async function headsOf(
  messages: readonly LeasedMessage[],
  reader: LedgerReader,
): Promise<readonly AccountHead[]> {
  const known = messages.map(({ heads }) => heads);
  if (known.every((heads) => heads !== undefined)) return lastHeads(known.flat());
  const sequences = messages.map(({ sequence }) => sequence);
  const heads = await reader.headsAfter(messages[0]?.accountId ?? '', sequences);
  if (heads.length === 0) throw new Error('The ledger entry does not exist');
  return heads;
}

/** What an account of this server received by a bulk. */
interface Receipt {
  readonly entry: LedgerEntry;
  readonly receiver: Account;
}

interface Happenings {
  readonly account: Account;
  /** By sequence. */
  readonly bulkTransfers: ReadonlyMap<bigint, BulkTransfer>;
  readonly credits: ReadonlyMap<bigint, LedgerEntry>;
  /** By bulk. */
  readonly receipts: ReadonlyMap<string, readonly Receipt[]>;
}

async function readHappenings(
  messages: readonly Told[],
  reader: LedgerReader,
): Promise<Happenings> {
  const accountId = messages[0]?.accountId ?? '';
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
    receiver: required(receivers[index] ?? undefined, 'The account credited does not exist'),
  }));
  return Map.groupBy(receipts, ({ entry }) => entry.bulkTransferId ?? '');
}

/** The transfers of bulks that are asked for in turn. Small neighbours are read in one go. */
class TransferPages {
  #readAhead = new Map<string, Transfer[]>();

  constructor(
    private readonly reader: LedgerReader,
    private readonly bulkTransfers: readonly BulkTransfer[],
  ) {}

  async *of(bulk: BulkTransfer): AsyncIterable<Transfer> {
    if (bulk.transferCount > TRANSFERS_PAGE) {
      yield* this.#pagesOf(bulk);
      return;
    }
    if (!this.#readAhead.has(bulk.id)) await this.#readFrom(bulk);
    yield* this.#readAhead.get(bulk.id) ?? [];
  }

  async #readFrom(bulk: BulkTransfer): Promise<void> {
    const together: BulkTransfer[] = [];
    let count = 0;
    for (const next of this.bulkTransfers.slice(this.bulkTransfers.indexOf(bulk))) {
      count += next.transferCount;
      if (count > TRANSFERS_PAGE) break;
      together.push(next);
    }
    const transfers = await this.reader.transfersOfBulks(together);
    this.#readAhead = Map.groupBy(transfers, ({ bulkTransferId }) => bulkTransferId);
  }

  async *#pagesOf(bulk: BulkTransfer): AsyncIterable<Transfer> {
    let after: bigint | undefined;
    for (let hasNextPage = true; hasNextPage; ) {
      const range = { size: TRANSFERS_PAGE, fromEnd: false, ...(after !== undefined && { after }) };
      const page = await this.reader.transfersOfBulk(bulk, range);
      yield* page.nodes;
      after = page.nodes.at(-1)?.position;
      hasNextPage = page.hasNextPage;
    }
  }
}

/** @throws Error where there is none: the message can't be published, and is parked in the end */
function required<Value>(value: Value | undefined, lack: string): Value {
  if (value === undefined) throw new Error(lack);
  return value;
}
