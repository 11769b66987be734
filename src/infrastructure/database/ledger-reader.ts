import { type FilterQuery, raw } from '@mikro-orm/core';
import type { EntityManager, MikroORM } from '@mikro-orm/sql';
import DataLoader from 'dataloader';
import type {
  AccountHead,
  EntryTotals,
  LedgerReader,
  SequenceRange,
  TransferFilter,
} from '../../application/ports.js';
import type { OrganizationScope } from '../../domain/caller.js';
import { hasIbanShape } from '../../domain/iban.js';
import { idempotencyKeyProblems } from '../../domain/idempotency.js';
import { isId, type Page, type PageRange } from '../../domain/page.js';
import { firstPositionOf } from '../../domain/postings.js';
import { Account } from '../../entities/account.entity.js';
import { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import { Transfer } from '../../entities/transfer.entity.js';
import { type ListOrder, readPage } from './keyset-page.js';

/** IBANs in one look-up: of many more, databases rather read the whole index. */
const IBANS_MAX = 5_000;

/** Accounts in one read: they are made in one turn of the event loop. */
const ACCOUNTS_MAX = 1_000;

/** So few that the ORM's own conditions cost nothing to speak of. */
const FEW_IBANS_MAX = 50;

/** After every text that starts with a prefix, by code point, as both databases compare. */
const LAST_CHARACTER = '\u{10FFFF}';

/** What MySQL's DATETIME holds, from when there could be an entry: beyond it comparisons go wrong. */
const EARLIEST = new Date('1970-01-01T00:00:00.000Z');
const LATEST = new Date('9999-12-31T23:59:59.999Z');

/**
 * Look-ups that every bulk begins with: those of requests that came at once go out as one statement.
 * Nothing is kept, so each sees all that was committed before it was asked.
 */
const ACROSS_REQUESTS = {
  cache: false,
  maxBatchSize: 500,
  batchScheduleFn: (dispatch: () => void) => void setImmediate(dispatch),
};

interface LedgerPlaces {
  readonly accountId: string;
  readonly sequences: readonly bigint[];
}

interface HeadRow {
  /** Of the account whose entries were asked for, in hexadecimal. */
  readonly owner: string;
  readonly iban: string;
  readonly head: number | string;
}

interface IdempotencyKeyOfAccount {
  readonly accountId: string;
  readonly idempotencyKey: string;
}

/** Reads what is committed, each time afresh: nothing read is kept, or could be written back. */
export class MikroOrmLedgerReader implements LedgerReader {
  readonly #accountsByIban = new DataLoader(
    (lists: readonly (readonly string[])[]) => this.#readAccountsByIban(lists),
    ACROSS_REQUESTS,
  );
  readonly #headsAfter = new DataLoader(
    (places: readonly LedgerPlaces[]) => this.#readHeadsAfter(places),
    ACROSS_REQUESTS,
  );
  readonly #bulkTransfersByKey = new DataLoader(
    (keys: readonly IdempotencyKeyOfAccount[]) => this.#readBulkTransfersByKey(keys),
    ACROSS_REQUESTS,
  );

  /** Of accounts, and of what belongs to one: nothing where everything is seen. */
  readonly #seenAccounts: { organizationId?: { $in: string[] } };
  readonly #ofSeenAccounts: object;

  constructor(
    private readonly orm: MikroORM,
    organizations: OrganizationScope = 'all',
  ) {
    const organizationId =
      organizations === 'all' ? undefined : { $in: organizations.filter(isId) };
    this.#seenAccounts = organizationId ? { organizationId } : {};
    this.#ofSeenAccounts = organizationId ? { accountId: { organizationId } } : {};
  }

  /** The relation is mapped to its key, of which MikroORM's types do not know that it can be followed. */
  #ofSeen<Row>(where: object): FilterQuery<Row> {
    return { ...where, ...this.#ofSeenAccounts } as FilterQuery<Row>;
  }

  seenBy(organizations: OrganizationScope): LedgerReader {
    return organizations === 'all' ? this : new MikroOrmLedgerReader(this.orm, organizations);
  }

  get #em(): EntityManager {
    return this.orm.em.fork();
  }

  async accountByIban(iban: string): Promise<Account | null> {
    return (await this.#accountsByIban.load([iban])).get(iban) ?? null;
  }

  accountsByIban(ibans: readonly string[]): Promise<ReadonlyMap<string, Account>> {
    return this.#accountsByIban.load(ibans);
  }

  accountOfOrganization(organizationId: string): Promise<Account | null> {
    return this.#em.findOne(Account, { organizationId });
  }

  async bulkTransferByKey(accountId: string, idempotencyKey: string): Promise<BulkTransfer | null> {
    if (idempotencyKeyProblems(idempotencyKey).length > 0) return null;
    return this.#bulkTransfersByKey.load({ accountId, idempotencyKey });
  }

  /** The same answer for everyone who asked: all accounts that any of them named. */
  async #readAccountsByIban(
    lists: readonly (readonly string[])[],
  ): Promise<ReadonlyMap<string, Account>[]> {
    const possible = [...new Set(lists.flat())].filter(hasIbanShape);
    const isFew = possible.length <= FEW_IBANS_MAX;
    const ibans = isFew ? possible : await this.#ibansHere(possible);
    const found = new Map<string, Account>();
    for (let start = 0; start < ibans.length; start += ACCOUNTS_MAX) {
      const accounts = await this.#em.find(Account, {
        iban: { $in: ibans.slice(start, start + ACCOUNTS_MAX) },
        ...this.#seenAccounts,
      });
      for (const account of accounts) found.set(account.iban, account);
    }
    return lists.map(() => found);
  }

  /**
   * Which of many IBANs, most of them of other banks, are of accounts here. In plain SQL, for an
   * ORM's conditions cost a microsecond each.
   * @param ibans have the shape of one, so that nothing in them needs escaping
   */
  async #ibansHere(ibans: readonly string[]): Promise<string[]> {
    const here: string[] = [];
    for (let start = 0; start < ibans.length; start += IBANS_MAX) {
      const some = ibans.slice(start, start + IBANS_MAX);
      const list = some.map((iban) => `'${iban}'`).join(',');
      const rows: { iban: string }[] = await this.#em
        .getConnection()
        .execute(`select iban from account where iban in (${list})`);
      for (const { iban } of rows) here.push(iban);
    }
    return here;
  }

  async #readBulkTransfersByKey(
    keys: readonly IdempotencyKeyOfAccount[],
  ): Promise<(BulkTransfer | null)[]> {
    const byAccount = Map.groupBy(keys, ({ accountId }) => accountId);
    const anyOf = [...byAccount].map(([accountId, ofAccount]) => ({
      accountId,
      idempotencyKey: { $in: ofAccount.map(({ idempotencyKey }) => idempotencyKey) },
    }));
    const found = await this.#em.find(BulkTransfer, this.#ofSeen<BulkTransfer>({ $or: anyOf }));
    return keys.map(
      ({ accountId, idempotencyKey }) =>
        found.find(
          (bulk) => bulk.accountId === accountId && bulk.idempotencyKey === idempotencyKey,
        ) ?? null,
    );
  }

  async accountsById(ids: readonly string[]): Promise<(Account | null)[]> {
    if (ids.length === 0) return [];
    return inOrderOf(
      ids,
      await this.#em.find(Account, { id: { $in: [...ids] }, ...this.#seenAccounts }),
    );
  }

  async bulkTransfersById(ids: readonly string[]): Promise<(BulkTransfer | null)[]> {
    return inOrderOf(
      ids,
      await this.#em.find(BulkTransfer, this.#ofSeen<BulkTransfer>({ id: { $in: [...ids] } })),
    );
  }

  async transfersById(ids: readonly string[]): Promise<(Transfer | null)[]> {
    return inOrderOf(
      ids,
      await this.#em.find(Transfer, this.#ofSeen<Transfer>({ id: { $in: [...ids] } })),
    );
  }

  async entriesById(ids: readonly string[]): Promise<(LedgerEntry | null)[]> {
    return inOrderOf(
      ids,
      await this.#em.find(LedgerEntry, this.#ofSeen<LedgerEntry>({ id: { $in: [...ids] } })),
    );
  }

  accounts(range: PageRange<string>): Promise<Page<Account>> {
    return readPage(
      this.#em,
      { entity: Account, where: this.#seenAccounts, key: 'id', order: 'oldest-first' },
      range,
    );
  }

  bulkTransfers(accountId: string, range: PageRange<bigint>): Promise<Page<BulkTransfer>> {
    const where = { accountId };
    return readPage(
      this.#em,
      { entity: BulkTransfer, where, key: 'sequence', order: 'newest-first' },
      range,
    );
  }

  async transfers(
    accountId: string,
    filter: TransferFilter,
    range: PageRange<bigint>,
  ): Promise<Page<Transfer>> {
    const where = await this.#transferWhere(accountId, filter);
    return readPage(
      this.#em,
      { entity: Transfer, where, key: 'position', order: 'newest-first' },
      range,
    );
  }

  transfersOfBulk(
    { accountId, sequence }: Pick<BulkTransfer, 'accountId' | 'sequence'>,
    range: PageRange<bigint>,
  ): Promise<Page<Transfer>> {
    const position = { $gte: firstPositionOf(sequence), $lt: firstPositionOf(sequence + 1n) };
    const where = { accountId, position };
    return readPage(
      this.#em,
      { entity: Transfer, where, key: 'position', order: 'oldest-first' },
      range,
    );
  }

  entries(
    accountId: string,
    within: SequenceRange,
    order: ListOrder,
    range: PageRange<bigint>,
  ): Promise<Page<LedgerEntry>> {
    const where = { accountId, ...sequenceWhere(within) };
    return readPage(this.#em, { entity: LedgerEntry, where, key: 'sequence', order }, range);
  }

  async transfersOfBulks(bulkTransfers: readonly BulkTransfer[]): Promise<Transfer[]> {
    if (bulkTransfers.length === 0) return [];
    const ranges = bulkTransfers.map(({ accountId, sequence }) => ({
      accountId,
      position: { $gte: firstPositionOf(sequence), $lt: firstPositionOf(sequence + 1n) },
    }));
    return this.#em.find(Transfer, { $or: ranges }, { orderBy: { position: 'asc' } });
  }

  async bulkTransfersAt(accountId: string, sequences: readonly bigint[]): Promise<BulkTransfer[]> {
    if (sequences.length === 0) return [];
    const where = { accountId, sequence: { $in: [...sequences] } };
    return this.#em.find(BulkTransfer, where, { orderBy: { sequence: 'asc' } });
  }

  async entriesAt(accountId: string, sequences: readonly bigint[]): Promise<LedgerEntry[]> {
    if (sequences.length === 0) return [];
    const where = { accountId, sequence: { $in: [...sequences] } };
    return this.#em.find(LedgerEntry, where, { orderBy: { sequence: 'asc' } });
  }

  async sequencesOf(accountIds: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
    const accounts = await this.#em.find(
      Account,
      { id: { $in: [...accountIds] } },
      { fields: ['sequence'] },
    );
    return new Map(accounts.map(({ id, sequence }) => [id, sequence]));
  }

  headsAfter(accountId: string, sequences: readonly bigint[]): Promise<AccountHead[]> {
    return this.#headsAfter.load({ accountId, sequences });
  }

  async #readHeadsAfter(places: readonly LedgerPlaces[]): Promise<AccountHead[][]> {
    const ofAny = places.map(
      ({ accountId, sequences }) =>
        `own.account_id = x'${accountId.replaceAll('-', '')}' and own.sequence in (${sequences.join(',')})`,
    );
    const rows: HeadRow[] = await this.#em.getConnection().execute(
      `select hex(own.account_id) as owner, account.iban,
          max(coalesce(entry.sequence, own.sequence)) as head from ledger_entry own
        left join ledger_entry entry on entry.bulk_transfer_id = own.bulk_transfer_id
        join account on account.id = coalesce(entry.account_id, own.account_id)
        where ${ofAny.join(' or ')} group by owner, account.iban`,
    );
    const byOwner = Map.groupBy(rows, ({ owner }) => owner.toLowerCase());
    return places.map(({ accountId }) =>
      (byOwner.get(accountId.replaceAll('-', '')) ?? []).map(({ iban, head }) => ({
        iban,
        sequence: BigInt(head),
      })),
    );
  }

  async bookEntriesOf(bulkTransferIds: readonly string[]): Promise<LedgerEntry[]> {
    if (bulkTransferIds.length === 0) return [];
    const where = { bulkTransferId: { $in: [...bulkTransferIds] }, kind: 'BOOK_TRANSFER' } as const;
    return this.#em.find(LedgerEntry, where, { orderBy: { id: 'asc' } });
  }

  async lastEntryUntil(accountId: string, moment: Date): Promise<LedgerEntry | null> {
    if (moment < EARLIEST) return null;
    return this.#em.findOne(
      LedgerEntry,
      { accountId, createdAt: { $lte: moment < LATEST ? moment : LATEST } },
      { orderBy: { createdAt: 'desc', sequence: 'desc' } },
    );
  }

  async entryTotals(accountId: string, within: SequenceRange): Promise<EntryTotals> {
    // As text: SQLite's driver would read a large sum as a double.
    const row: Record<string, unknown> | null = await this.#em
      .createQueryBuilder(LedgerEntry)
      .select([
        raw('count(*) as entry_count'),
        raw(
          'cast(coalesce(sum(case when amount_minor < 0 then -amount_minor end), 0) as char) as debits',
        ),
        raw(
          'cast(coalesce(sum(case when amount_minor > 0 then amount_minor end), 0) as char) as credits',
        ),
      ])
      .where({ accountId, ...sequenceWhere(within) })
      .execute('get', false);
    return {
      entryCount: Number(row?.entry_count ?? 0),
      debitsMinor: BigInt(String(row?.debits ?? 0)),
      creditsMinor: BigInt(String(row?.credits ?? 0)),
    };
  }

  /**
   * Times become positions: entries of an account are never earlier than those before them, so that
   * a range of times is a range of the list's own key, which one index serves.
   */
  async #transferWhere(accountId: string, filter: TransferFilter): Promise<FilterQuery<Transfer>> {
    const { counterpartyIban, counterpartyNamePrefix, amountMinorMin, amountMinorMax } = filter;
    const conditions: FilterQuery<Transfer>[] = [{ accountId }];
    if (counterpartyIban !== undefined) conditions.push({ counterpartyIban });
    if (counterpartyNamePrefix !== undefined) {
      const end = counterpartyNamePrefix + LAST_CHARACTER;
      conditions.push({ counterpartyNameFolded: { $gte: counterpartyNamePrefix, $lt: end } });
    }
    if (amountMinorMin !== undefined) conditions.push({ amountMinor: { $gte: amountMinorMin } });
    if (amountMinorMax !== undefined) conditions.push({ amountMinor: { $lte: amountMinorMax } });
    if (filter.endToEndId !== undefined) conditions.push({ endToEndId: filter.endToEndId });
    if (filter.from) {
      const last = await this.lastEntryUntil(accountId, justBefore(filter.from));
      if (last) conditions.push({ position: { $gte: firstPositionOf(last.sequence + 1n) } });
    }
    if (filter.to) {
      const last = await this.lastEntryUntil(accountId, justBefore(filter.to));
      conditions.push({ position: { $lt: firstPositionOf((last?.sequence ?? 0n) + 1n) } });
    }
    return { $and: conditions };
  }
}

/** Times are kept to the millisecond. */
function justBefore(moment: Date): Date {
  return new Date(moment.getTime() - 1);
}

function sequenceWhere({ first, last }: SequenceRange): {
  sequence?: { $gte?: bigint; $lte?: bigint };
} {
  if (first === undefined && last === undefined) return {};
  return {
    sequence: {
      ...(first !== undefined && { $gte: first }),
      ...(last !== undefined && { $lte: last }),
    },
  };
}

function inOrderOf<Entity extends { readonly id: string }>(
  ids: readonly string[],
  found: readonly Entity[],
): (Entity | null)[] {
  const byId = new Map(found.map((entity) => [entity.id, entity]));
  return ids.map((id) => byId.get(id) ?? null);
}
