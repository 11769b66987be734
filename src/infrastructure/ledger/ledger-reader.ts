import { type FilterQuery, raw } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import DataLoader from 'dataloader';
import { stringify } from 'uuid';
import type { AccountHead } from '../../application/ports/account-head.js';
import type {
  EntryTotals,
  LedgerReader,
  ReadingCaller,
  SequenceRange,
  TransferFilter,
} from '../../application/ports/ledger-reader.js';
import type { AccountFacts } from '../../domain/bulk-transfer.js';
import type { OrganizationScope } from '../../domain/caller.js';
import { hasIbanShape } from '../../domain/iban.js';
import { idempotencyKeyProblems } from '../../domain/idempotency.js';
import {
  type CursorScope,
  isId,
  type ListPage,
  type PageRange,
  type Place,
  type Position,
} from '../../domain/page.js';
import { firstPositionOf, indexOf, sequenceOf } from '../../domain/postings.js';
import type { PaidName } from '../../domain/transfer-warnings.js';
import { Account } from '../../entities/account.entity.js';
import { ApiKey } from '../../entities/api-key.entity.js';
import { AuditEntry } from '../../entities/audit-entry.entity.js';
import { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import { Organization } from '../../entities/organization.entity.js';
import { Transfer } from '../../entities/transfer.entity.js';
import type { Database } from '../database/dialect.js';
import { idLiteral } from '../database/id-literal.js';
import { throwUnavailable } from '../database/unavailability.js';
import {
  INCOMING_TRANSFERS,
  needsExamining,
  type PositionBounds,
  readFilteredPage,
  type SearchedTable,
  TRANSFERS,
} from './filtered-transfers.js';
import { type KeysetList, type ListOrder, readListPage } from './keyset-page.js';

/** IBANs in one look-up: of many more, databases rather read the whole index. */
const IBANS_MAX = 5_000;

/** A bulk that names more looks them up by itself: small ones do not wait for what it takes. */
const IBANS_TOGETHER_MAX = 500;

/** Transfers whose names are read of each IBAN: the last ones. */
const NAMED_TRANSFERS_MAX = 10;

/** Accounts in one read: they are made in one turn of the event loop. */
const ACCOUNTS_MAX = 1_000;

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

/** The server's own reads: those of its use cases, its relay and its hub. */
const SERVER: ReadingCaller = { key: 'server' };

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

interface AccountFactsRow {
  readonly id: Uint8Array;
  readonly organization_id: Uint8Array;
  readonly organization_name: string;
  readonly iban: string;
  readonly bic: string;
  readonly currency: string;
}

interface PaidNameRow {
  readonly counterparty_iban: string;
  readonly counterparty_name: string;
  readonly bulk_transfer_id: Uint8Array;
  readonly position: number | string;
}

interface IdempotencyKeyOfAccount {
  readonly accountId: string;
  readonly idempotencyKey: string;
}

/** Reads what is committed, each time afresh: nothing read is kept, or could be written back. */
export class MikroOrmLedgerReader implements LedgerReader {
  readonly #accountByIban = new DataLoader(
    (ibans: readonly string[]) => this.#readAccountsByIban(ibans),
    ACROSS_REQUESTS,
  );
  readonly #accountFactsByIban = new DataLoader(
    (lists: readonly (readonly string[])[]) => this.#readAccountFactsByIban(lists),
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
    private readonly database: Pick<Database, 'orm' | 'readSlots'>,
    organizations: OrganizationScope = 'all',
    private readonly reading: ReadingCaller = SERVER,
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

  /** A condition for plain SQL on accounts; what has the shape of an id needs no escaping. */
  get #ofSeenOrganizations(): string {
    const ids = this.#seenAccounts.organizationId?.$in.map(idLiteral);
    return ids ? `and organization_id in (${['null', ...ids].join(',')})` : '';
  }

  seenBy(organizations: OrganizationScope, reading: ReadingCaller = this.reading): LedgerReader {
    return new MikroOrmLedgerReader(this.database, organizations, reading);
  }

  get #seenOrganizations(): { id?: { $in: string[] } } {
    const { organizationId } = this.#seenAccounts;
    return organizationId ? { id: organizationId } : {};
  }

  /**
   * Runs one statement when it is the caller's turn.
   * @throws UnavailableError where the database is away
   */
  #read<Result>(
    statement: (em: EntityManager) => Promise<Result>,
    key = this.reading.key,
  ): Promise<Result> {
    const { orm, readSlots } = this.database;
    const read = () => statement(orm.em.fork()).catch(throwUnavailable);
    return readSlots.run(key, read, this.reading.isAbandoned);
  }

  #readList<Row extends object, Key extends string & keyof Row>(
    list: KeysetList<Row, Key>,
    range: PageRange<Row[Key] & Position>,
  ): Promise<ListPage<Row>> {
    return readListPage((statement) => this.#read(statement), list, range);
  }

  async accountByIban(iban: string): Promise<Account | null> {
    return hasIbanShape(iban) ? this.#accountByIban.load(iban) : null;
  }

  accountFactsByIban(ibans: readonly string[]): Promise<ReadonlyMap<string, AccountFacts>> {
    if (ibans.length <= IBANS_TOGETHER_MAX) return this.#accountFactsByIban.load(ibans);
    return this.#findAccountFacts(ibans, `look-up of ${ibans[0]}`);
  }

  organizations(countMax: number): Promise<Organization[]> {
    return this.#read((em) =>
      em.find(Organization, this.#seenOrganizations, { orderBy: { id: 'asc' }, limit: countMax }),
    );
  }

  async organizationsById(ids: readonly string[]): Promise<(Organization | null)[]> {
    const $and = [{ id: { $in: [...ids] } }, this.#seenOrganizations];
    return inOrderOf(ids, await this.#read((em) => em.find(Organization, { $and })));
  }

  async bulkTransferByKey(accountId: string, idempotencyKey: string): Promise<BulkTransfer | null> {
    if (idempotencyKeyProblems(idempotencyKey).length > 0) return null;
    return this.#bulkTransfersByKey.load({ accountId, idempotencyKey });
  }

  async #readAccountsByIban(ibans: readonly string[]): Promise<(Account | null)[]> {
    const where = { iban: { $in: [...ibans] }, ...this.#seenAccounts };
    const found = await this.#read((em) => em.find(Account, where));
    const byIban = new Map(found.map((account) => [account.iban, account]));
    return ibans.map((iban) => byIban.get(iban) ?? null);
  }

  /** The same answer for everyone who asked: all accounts that any of them named. */
  async #readAccountFactsByIban(
    lists: readonly (readonly string[])[],
  ): Promise<ReadonlyMap<string, AccountFacts>[]> {
    const found = await this.#findAccountFacts([...new Set(lists.flat())], this.reading.key);
    return lists.map(() => found);
  }

  /**
   * Most IBANs are of other banks. In plain SQL, for every bulk begins with it: an ORM's conditions cost
   * a microsecond each, and an entity more than the whole row. What has the shape of an IBAN or an id
   * needs no escaping.
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
        where iban in (${some.map((iban) => `'${iban}'`).join(',')}) ${this.#ofSeenOrganizations}`;
      const rows = await this.#read(
        (em) => em.getConnection().execute<AccountFactsRow[]>(statement),
        key,
      );
      for (const row of rows) found.set(row.iban, accountFactsOf(row));
    }
    return found;
  }

  async #readBulkTransfersByKey(
    keys: readonly IdempotencyKeyOfAccount[],
  ): Promise<(BulkTransfer | null)[]> {
    const byAccount = Map.groupBy(keys, ({ accountId }) => accountId);
    const anyOf = [...byAccount].map(([accountId, ofAccount]) => ({
      accountId,
      idempotencyKey: { $in: ofAccount.map(({ idempotencyKey }) => idempotencyKey) },
    }));
    const found = await this.#read((em) =>
      em.find(BulkTransfer, this.#ofSeen<BulkTransfer>({ $or: anyOf })),
    );
    return keys.map(
      ({ accountId, idempotencyKey }) =>
        found.find(
          (bulk) => bulk.accountId === accountId && bulk.idempotencyKey === idempotencyKey,
        ) ?? null,
    );
  }

  async accountsById(ids: readonly string[]): Promise<(Account | null)[]> {
    const found: Account[] = [];
    for (let start = 0; start < ids.length; start += ACCOUNTS_MAX) {
      const some = ids.slice(start, start + ACCOUNTS_MAX);
      found.push(
        ...(await this.#read((em) =>
          em.find(Account, { id: { $in: some }, ...this.#seenAccounts }),
        )),
      );
    }
    return inOrderOf(ids, found);
  }

  async bulkTransfersById(ids: readonly string[]): Promise<(BulkTransfer | null)[]> {
    return inOrderOf(
      ids,
      await this.#read((em) =>
        em.find(BulkTransfer, this.#ofSeen<BulkTransfer>({ id: { $in: [...ids] } })),
      ),
    );
  }

  async transfersById(ids: readonly string[]): Promise<(Transfer | null)[]> {
    return inOrderOf(
      ids,
      await this.#read((em) =>
        em.find(Transfer, this.#ofSeen<Transfer>({ id: { $in: [...ids] } })),
      ),
    );
  }

  async entriesById(ids: readonly string[]): Promise<(LedgerEntry | null)[]> {
    return inOrderOf(
      ids,
      await this.#read((em) =>
        em.find(LedgerEntry, this.#ofSeen<LedgerEntry>({ id: { $in: [...ids] } })),
      ),
    );
  }

  async incomingTransfersById(ids: readonly string[]): Promise<(IncomingTransfer | null)[]> {
    return inOrderOf(
      ids,
      await this.#read((em) =>
        em.find(IncomingTransfer, this.#ofSeen<IncomingTransfer>({ id: { $in: [...ids] } })),
      ),
    );
  }

  async hasPlace(
    { kind, ownerId }: Pick<CursorScope<Position>, 'kind' | 'ownerId'>,
    { position, rowId }: Place<Position>,
  ): Promise<boolean> {
    if (typeof position === 'string') return this.#hasRow(kind, position);
    const ofOwner = { accountId: ownerId, ...(rowId !== undefined && { id: rowId }) };
    const sequence = kind === 'transfer' ? sequenceOf(position) : position;
    const row = await this.#read<object | null>((em) => {
      if (kind === 'incoming-transfer')
        return em.findOne(IncomingTransfer, { ...ofOwner, position });
      if (kind === 'ledger-entry') return em.findOne(LedgerEntry, { ...ofOwner, sequence });
      return em.findOne(BulkTransfer, { ...ofOwner, sequence });
    });
    const isBeyond =
      kind === 'transfer' && row instanceof BulkTransfer && indexOf(position) >= row.transferCount;
    return row !== null && !isBeyond;
  }

  /** Tells whether a list in the order of ids has an id. */
  async #hasRow(kind: CursorScope<Position>['kind'], id: string): Promise<boolean> {
    const row = await this.#read<object | null>((em) => {
      if (kind === 'audit') return em.findOne(AuditEntry, { id });
      if (kind === 'api-key') return em.findOne(ApiKey, { id });
      return em.findOne(Account, { id, ...this.#seenAccounts });
    });
    return row !== null;
  }

  async accountIds(countMax: number): Promise<string[]> {
    const accounts = await this.#read((em) =>
      em.find(Account, this.#seenAccounts, {
        fields: ['id'],
        orderBy: { id: 'asc' },
        limit: countMax,
      }),
    );
    return accounts.map(({ id }) => id);
  }

  accounts(range: PageRange<string>, organizationId?: string): Promise<ListPage<Account>> {
    const ofOne = organizationId === undefined ? {} : { organizationId };
    const where: FilterQuery<Account> = { $and: [this.#seenAccounts, ofOne] };
    return this.#readList({ entity: Account, where, key: 'id', order: 'oldest-first' }, range);
  }

  bulkTransfers(accountId: string, range: PageRange<bigint>): Promise<ListPage<BulkTransfer>> {
    const where = { accountId };
    return this.#readList(
      { entity: BulkTransfer, where, key: 'sequence', order: 'newest-first' },
      range,
    );
  }

  transfers(
    accountId: string,
    filter: TransferFilter,
    range: PageRange<bigint>,
  ): Promise<ListPage<Transfer>> {
    return this.#search(TRANSFERS, accountId, filter, range);
  }

  incomingTransfers(
    accountId: string,
    filter: TransferFilter,
    range: PageRange<bigint>,
  ): Promise<ListPage<IncomingTransfer>> {
    return this.#search(INCOMING_TRANSFERS, accountId, filter, range);
  }

  async #search<Row extends Transfer | IncomingTransfer>(
    table: SearchedTable<Row>,
    accountId: string,
    filter: TransferFilter,
    range: PageRange<bigint>,
  ): Promise<ListPage<Row>> {
    const bounds = await this.#positionBounds(accountId, filter);
    if (needsExamining(filter)) {
      return readFilteredPage(
        (statement) => this.#read(statement),
        table,
        { accountId, filter, bounds },
        range,
      );
    }
    const { counterpartyIban, endToEndId } = filter;
    const { first, last } = bounds;
    const conditions: object[] = [{ accountId }];
    if (counterpartyIban !== undefined) conditions.push({ counterpartyIban });
    if (endToEndId !== undefined) conditions.push({ endToEndId });
    if (first !== undefined) conditions.push({ position: { $gte: first } });
    if (last !== undefined) conditions.push({ position: { $lte: last } });
    const where = { $and: conditions } as FilterQuery<Row>;
    const list = { entity: table.entity, where, key: 'position', order: 'newest-first' } as const;
    return this.#readList<Row, 'position'>(list, range);
  }

  transfersOfBulk(
    { accountId, sequence }: Pick<BulkTransfer, 'accountId' | 'sequence'>,
    range: PageRange<bigint>,
  ): Promise<ListPage<Transfer>> {
    const where = { accountId, position: positionsOf(sequence) };
    return this.#readList(
      { entity: Transfer, where, key: 'position', order: 'oldest-first' },
      range,
    );
  }

  incomingTransfersOfBulk(
    { accountId, sequence }: Pick<BulkTransfer, 'accountId' | 'sequence'>,
    range: PageRange<bigint>,
  ): Promise<ListPage<IncomingTransfer>> {
    const where = { payerAccountId: accountId, payerPosition: positionsOf(sequence) };
    const list = {
      entity: IncomingTransfer,
      where,
      key: 'payerPosition',
      order: 'oldest-first',
    } as const;
    return this.#readList(list, range);
  }

  entries(
    accountId: string,
    within: SequenceRange,
    order: ListOrder,
    range: PageRange<bigint>,
  ): Promise<ListPage<LedgerEntry>> {
    const where = { accountId, ...sequenceWhere(within) };
    return this.#readList({ entity: LedgerEntry, where, key: 'sequence', order }, range);
  }

  async transfersOfBulks(bulkTransfers: readonly BulkTransfer[]): Promise<Transfer[]> {
    if (bulkTransfers.length === 0) return [];
    const ranges = bulkTransfers.map(({ accountId, sequence }) => ({
      accountId,
      position: positionsOf(sequence),
    }));
    return this.#read((em) => em.find(Transfer, { $or: ranges }, { orderBy: { position: 'asc' } }));
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
    return this.#read((em) => em.find(IncomingTransfer, { $or: ranges }, { orderBy }));
  }

  async paidNames(
    accountId: string,
    ibans: readonly string[],
    before: bigint | undefined,
  ): Promise<PaidName[]> {
    const payees = ibans.filter(hasIbanShape);
    if (payees.length === 0) return [];
    const until = before === undefined ? '' : `and position < ${firstPositionOf(before)}`;
    // In plain SQL, as for #findAccountFacts: what has the shape of an IBAN or an id needs no escaping.
    // Each select reads the end of one range of transfer_counterparty_iban_index. SQLite wants a limit of one
    // select inside a subquery, and MariaDB wants a name for it.
    const latest = payees.map(
      (iban) =>
        `select * from (select counterparty_iban, counterparty_name, bulk_transfer_id, position
          from transfer where account_id = ${idLiteral(accountId)} and counterparty_iban = '${iban}' ${until}
          order by position desc limit ${NAMED_TRANSFERS_MAX}) latest`,
    );
    const rows = await this.#read((em) =>
      em.getConnection().execute<PaidNameRow[]>(latest.join(' union all ')),
    );
    return rows
      .toSorted((one, other) => Number(BigInt(other.position) - BigInt(one.position)))
      .map((row) => ({
        counterpartyIban: row.counterparty_iban,
        counterpartyName: row.counterparty_name,
        bulkTransferId: stringify(row.bulk_transfer_id),
      }));
  }

  async bulkTransfersAt(accountId: string, sequences: readonly bigint[]): Promise<BulkTransfer[]> {
    if (sequences.length === 0) return [];
    const where = { accountId, sequence: { $in: [...sequences] } };
    return this.#read((em) => em.find(BulkTransfer, where, { orderBy: { sequence: 'asc' } }));
  }

  async entriesAt(accountId: string, sequences: readonly bigint[]): Promise<LedgerEntry[]> {
    if (sequences.length === 0) return [];
    const where = { accountId, sequence: { $in: [...sequences] } };
    return this.#read((em) => em.find(LedgerEntry, where, { orderBy: { sequence: 'asc' } }));
  }

  async sequencesOf(accountIds: readonly string[]): Promise<ReadonlyMap<string, bigint>> {
    const accounts = await this.#read((em) =>
      em.find(Account, { id: { $in: [...accountIds] } }, { fields: ['sequence'] }),
    );
    return new Map(accounts.map(({ id, sequence }) => [id, sequence]));
  }

  headsAfter(accountId: string, sequences: readonly bigint[]): Promise<AccountHead[]> {
    return this.#headsAfter.load({ accountId, sequences });
  }

  async #readHeadsAfter(places: readonly LedgerPlaces[]): Promise<AccountHead[][]> {
    const ofAny = places.map(
      ({ accountId, sequences }) =>
        `own.account_id = ${idLiteral(accountId)} and own.sequence in (${sequences.join(',')})`,
    );
    const rows: HeadRow[] = await this.#read((em) =>
      em.getConnection().execute(
        `select hex(own.account_id) as owner, account.iban,
          max(coalesce(entry.sequence, own.sequence)) as head from ledger_entry own
        left join ledger_entry entry on entry.bulk_transfer_id = own.bulk_transfer_id
        join account on account.id = coalesce(entry.account_id, own.account_id)
        where ${ofAny.join(' or ')} group by owner, account.iban`,
      ),
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
    return this.#read((em) => em.find(LedgerEntry, where, { orderBy: { id: 'asc' } }));
  }

  async lastEntryUntil(accountId: string, moment: Date): Promise<LedgerEntry | null> {
    if (moment < EARLIEST) return null;
    return this.#read((em) =>
      em.findOne(
        LedgerEntry,
        { accountId, createdAt: { $lte: moment < LATEST ? moment : LATEST } },
        { orderBy: { createdAt: 'desc', sequence: 'desc' } },
      ),
    );
  }

  async entryTotals(accountId: string, within: SequenceRange): Promise<EntryTotals> {
    // As text: SQLite's driver would read a large sum as a double.
    const row: Record<string, unknown> | null = await this.#read((em) =>
      em
        .createQueryBuilder(LedgerEntry)
        .select([
          raw(
            'cast(coalesce(sum(case when amount_minor < 0 then -amount_minor end), 0) as char) as debits',
          ),
          raw(
            'cast(coalesce(sum(case when amount_minor > 0 then amount_minor end), 0) as char) as credits',
          ),
        ])
        .where({ accountId, ...sequenceWhere(within) })
        .execute('get', false),
    );
    return {
      debitsMinor: BigInt(String(row?.debits ?? 0)),
      creditsMinor: BigInt(String(row?.credits ?? 0)),
    };
  }

  /**
   * Times become positions: entries of an account are never earlier than those before them, so that
   * a range of times is a range of the list's own key, which one index serves.
   */
  async #positionBounds(accountId: string, { from, to }: TransferFilter): Promise<PositionBounds> {
    const before = from && (await this.lastEntryUntil(accountId, justBefore(from)));
    const last = to && (await this.lastEntryUntil(accountId, justBefore(to)));
    return {
      ...(before && { first: firstPositionOf(before.sequence + 1n) }),
      ...(to && { last: firstPositionOf((last?.sequence ?? 0n) + 1n) - 1n }),
    };
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

/** The positions of the transfers of one ledger entry. */
function positionsOf(sequence: bigint): { readonly $gte: bigint; readonly $lt: bigint } {
  return { $gte: firstPositionOf(sequence), $lt: firstPositionOf(sequence + 1n) };
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
