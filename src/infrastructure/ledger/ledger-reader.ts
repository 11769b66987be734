import DataLoader from 'dataloader';
import { stringify } from 'uuid';
import type { AccountHead } from '../../application/ports/account-head.js';
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import type { ListPage, PageRange } from '../../application/ports/page.js';
import type { ReadingCaller } from '../../application/ports/scoped-ledger-reader.js';
import type { AccountFacts } from '../../domain/bulk-transfer.js';
import { hasIbanShape } from '../../domain/iban.js';
import { Account } from '../../entities/account.entity.js';
import { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import { OrderTransition } from '../../entities/order-transition.entity.js';
import { Transfer } from '../../entities/transfer.entity.js';
import type { Database } from '../database/dialect.js';
import { idLiteral } from '../database/id-literal.js';
import { ACROSS_REQUESTS, LedgerReads, positionsOf } from './ledger-reads.js';
import { LedgerScope } from './ledger-scope.js';

/** The largest number of IBANs in one look-up. For many more IBANs, databases prefer to read the whole index. */
const IBANS_MAX = 5_000;

/**
 * The largest number of IBANs of a bulk that shares a look-up. A bulk with more IBANs uses its own statements, so
 * small bulks do not wait for it.
 */
const IBANS_TOGETHER_MAX = 500;

/** The caller for the use cases, the relay and the feeds of this process. They share one key. */
const SERVER: ReadingCaller = { key: 'server' };

interface EntriesOfAccount {
  readonly accountId: string;
  readonly sequences: readonly bigint[];
}

interface HeadRow {
  /** The account whose entries were requested, in hexadecimal. */
  readonly owner: string;
  readonly iban: string;
  readonly head: number | string;
}

interface AccountFactsRow {
  readonly id: Uint8Array;
  readonly organization_id: Uint8Array;
  readonly organization_name: string;
  readonly iban: string;
  readonly bic: string;
  readonly currency: string;
}

export class MikroOrmLedgerReader extends LedgerReads implements LedgerReader {
  readonly #accountFactsByIban = new DataLoader(
    (lists: readonly (readonly string[])[]) => this.#readAccountFactsByIban(lists),
    ACROSS_REQUESTS,
  );
  readonly #headsAfter = new DataLoader(
    (entries: readonly EntriesOfAccount[]) => this.#readHeadsAfter(entries),
    ACROSS_REQUESTS,
  );

  constructor(database: Pick<Database, 'orm' | 'readSlots'>) {
    super(database, new LedgerScope('all'), SERVER);
  }

  async hasShortId(shortId: number): Promise<boolean> {
    return (await this.read((em) => em.findOne(Account, { shortId }))) !== null;
  }

  accountFactsByIban(ibans: readonly string[]): Promise<ReadonlyMap<string, AccountFacts>> {
    if (ibans.length <= IBANS_TOGETHER_MAX) return this.#accountFactsByIban.load(ibans);
    return this.#findAccountFacts(ibans, `look-up of ${ibans[0]}`);
  }

  /** Returns the same map for each list, with all accounts that any of the lists names. */
  async #readAccountFactsByIban(
    lists: readonly (readonly string[])[],
  ): Promise<ReadonlyMap<string, AccountFacts>[]> {
    const found = await this.#findAccountFacts([...new Set(lists.flat())], this.caller.key);
    return lists.map(() => found);
  }

  /**
   * Finds accounts by IBAN; most IBANs belong to other banks. Every bulk begins with this look-up, so it is plain
   * SQL. An ORM's conditions cost a microsecond each, and an entity costs more than the whole row. A text with the
   * shape of an IBAN needs no escaping.
   */
  async #findAccountFacts(
    named: readonly string[],
    key: string,
  ): Promise<ReadonlyMap<string, AccountFacts>> {
    const ibans = named.filter(hasIbanShape);
    const found = new Map<string, AccountFacts>();
    for (let start = 0; start < ibans.length; start += IBANS_MAX) {
      const some = ibans.slice(start, start + IBANS_MAX);
      const statement = `select id, organization_id, organization_name, iban, bic, currency from account
        where iban in (${some.map((iban) => `'${iban}'`).join(',')})`;
      const rows = await this.read(
        (em) => em.getConnection().execute<AccountFactsRow[]>(statement),
        key,
      );
      for (const row of rows) found.set(row.iban, accountFactsOf(row));
    }
    return found;
  }

  transfers(accountId: string, range: PageRange<bigint>): Promise<ListPage<Transfer>> {
    const where = { accountId };
    return this.readList(
      { entity: Transfer, where, key: 'position', order: 'newest-first' },
      range,
    );
  }

  incomingTransfers(
    accountId: string,
    range: PageRange<bigint>,
  ): Promise<ListPage<IncomingTransfer>> {
    const where = { accountId };
    return this.readList(
      { entity: IncomingTransfer, where, key: 'position', order: 'newest-first' },
      range,
    );
  }

  incomingTransfersOfBulk(
    { accountId, sequence }: Pick<BulkTransfer, 'accountId' | 'sequence'>,
    range: PageRange<bigint>,
  ): Promise<ListPage<IncomingTransfer>> {
    const where = { payerAccountId: accountId, payerPosition: positionsOf(sequence) };
    return this.readList(
      { entity: IncomingTransfer, where, key: 'payerPosition', order: 'oldest-first' },
      range,
    );
  }

  async transfersOfBulks(bulkTransfers: readonly BulkTransfer[]): Promise<Transfer[]> {
    if (bulkTransfers.length === 0) return [];
    const ranges = bulkTransfers.map(({ accountId, sequence }) => ({
      accountId,
      position: positionsOf(sequence),
    }));
    return this.read((em) => em.find(Transfer, { $or: ranges }, { orderBy: { position: 'asc' } }));
  }

  async incomingTransfersOfBulks(
    bulkTransfers: readonly BulkTransfer[],
  ): Promise<IncomingTransfer[]> {
    if (bulkTransfers.length === 0) return [];
    const ranges = bulkTransfers.map(({ accountId, sequence }) => ({
      payerAccountId: accountId,
      payerPosition: positionsOf(sequence),
    }));
    const orderBy = { payerPosition: 'asc' } as const;
    return this.read((em) => em.find(IncomingTransfer, { $or: ranges }, { orderBy }));
  }

  async bulkTransfersAt(accountId: string, sequences: readonly bigint[]): Promise<BulkTransfer[]> {
    if (sequences.length === 0) return [];
    const where = { accountId, sequence: { $in: [...sequences] } };
    return this.read((em) => em.find(BulkTransfer, where, { orderBy: { sequence: 'asc' } }));
  }

  async entriesAt(accountId: string, sequences: readonly bigint[]): Promise<LedgerEntry[]> {
    if (sequences.length === 0) return [];
    const where = { accountId, sequence: { $in: [...sequences] } };
    return this.read((em) => em.find(LedgerEntry, where, { orderBy: { sequence: 'asc' } }));
  }

  async sequencesOf(accountIds: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
    const accounts = await this.read((em) =>
      em.find(Account, { id: { $in: [...accountIds] } }, { fields: ['sequence'] }),
    );
    return new Map(accounts.map(({ id, sequence }) => [id, sequence]));
  }

  headsAfter(accountId: string, sequences: readonly bigint[]): Promise<AccountHead[]> {
    return this.#headsAfter.load({ accountId, sequences });
  }

  async #readHeadsAfter(entries: readonly EntriesOfAccount[]): Promise<AccountHead[][]> {
    const ofAny = entries.map(
      ({ accountId, sequences }) =>
        `own.account_id = ${idLiteral(accountId)} and own.sequence in (${sequences.join(',')})`,
    );
    const rows: HeadRow[] = await this.read((em) =>
      em.getConnection().execute(
        `select hex(own.account_id) as owner, account.iban,
          max(coalesce(entry.sequence, own.sequence)) as head from ledger_entry own
        left join ledger_entry entry on entry.bulk_transfer_id = own.bulk_transfer_id
        join account on account.id = coalesce(entry.account_id, own.account_id)
        where ${ofAny.join(' or ')} group by owner, account.iban`,
      ),
    );
    const byOwner = Map.groupBy(rows, ({ owner }) => owner.toLowerCase());
    return entries.map(({ accountId }) =>
      (byOwner.get(accountId.replaceAll('-', '')) ?? []).map(({ iban, head }) => ({
        iban,
        sequence: BigInt(head),
      })),
    );
  }

  async orderTransitionsAt(
    orderId: string,
    sequences: readonly bigint[],
  ): Promise<OrderTransition[]> {
    const where = { orderId, sequence: { $in: [...sequences] } };
    return this.read((em) => em.find(OrderTransition, where));
  }

  async bookEntriesOf(bulkTransferIds: readonly string[]): Promise<LedgerEntry[]> {
    if (bulkTransferIds.length === 0) return [];
    const where = { bulkTransferId: { $in: [...bulkTransferIds] }, kind: 'BOOK_TRANSFER' } as const;
    return this.read((em) => em.find(LedgerEntry, where, { orderBy: { id: 'asc' } }));
  }
}

function accountFactsOf(row: AccountFactsRow): AccountFacts {
  const { iban, bic, currency } = row;
  return {
    id: stringify(row.id),
    organizationId: stringify(row.organization_id),
    organizationName: row.organization_name,
    iban,
    bic,
    currency,
  };
}
