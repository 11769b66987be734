import { type FilterQuery, raw } from '@mikro-orm/core';
import { stringify } from 'uuid';
import type {
  ListIdentity,
  ListPage,
  PageRange,
  Place,
  Position,
} from '../../application/ports/page.js';
import type {
  EntryTotals,
  ReadingCaller,
  ScopedLedgerReader,
  SequenceRange,
  TransferFilter,
} from '../../application/ports/scoped-ledger-reader.js';
import type { OrganizationScope } from '../../domain/caller.js';
import { AbandonedError, UnavailableError } from '../../domain/errors.js';
import { hasIbanShape } from '../../domain/iban.js';
import { formatAmount } from '../../domain/money.js';
import { firstPositionOf } from '../../domain/postings.js';
import type { PaidName } from '../../domain/transfer-warnings.js';
import { Account } from '../../entities/account.entity.js';
import { ApiKey } from '../../entities/api-key.entity.js';
import { AuditEntry } from '../../entities/audit-entry.entity.js';
import { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import { Organization } from '../../entities/organization.entity.js';
import { sequenceSql } from '../../entities/sequence-sql.js';
import { Transfer } from '../../entities/transfer.entity.js';
import type { Database } from '../database/dialect.js';
import { idLiteral } from '../database/id-literal.js';
import { dateOf } from '../database/stored-date.js';
import type { SearchUpdater } from '../search/indexer.js';
import { isIndexedTo, isOfList, type SearchedList } from '../search/search-tables.js';
import { readWatermark } from '../search/watermark.js';
import {
  countMatches,
  EntriesRemovedError,
  INCOMING_TRANSFERS,
  needsSearch,
  type PositionBounds,
  readFilteredPage,
  type SearchedTable,
  TRANSFERS,
} from './filtered-transfers.js';
import type { ListOrder, Read } from './keyset-page.js';
import { LedgerReads } from './ledger-reads.js';
import { LedgerScope } from './ledger-scope.js';

/** The number of IBANs in one look-up of names. SQLite allows 500, but reads them in one turn of the event loop. */
const IBANS_AT_ONCE = 100;

/** The number of latest transfers whose names are read for each IBAN. */
const NAMED_TRANSFERS_MAX = 10;

/**
 * The range of times that MySQL's DATETIME holds, from the first possible entry on. Comparisons with times outside
 * the range give wrong results.
 */
const EARLIEST = new Date('1970-01-01T00:00:00.000Z');
const LATEST = new Date('9999-12-31T23:59:59.999Z');

/** A sequence above every sequence. */
const SEQUENCE_MAX = 2n ** 33n;

/** Runs a read that uses the search tables up to a watermark. */
type SearchReads = <Result>(read: (watermark: bigint) => Promise<Result>) => Promise<Result>;

/** The names under which an account last paid IBANs, and the watermark with which they are read. */
interface PaidNamesRead {
  readonly accountId: string;
  readonly payees: readonly string[];
  readonly before: bigint | undefined;
  readonly watermark: bigint;
}

/** A row as the driver returns it. */
interface PaidNameRow {
  readonly counterparty_iban: string;
  readonly counterparty_name: string;
  readonly bulk_transfer_id: Uint8Array;
  readonly position: number | string;
  readonly amount_minor: number | string;
  readonly currency: string;
  readonly description: string;
  readonly created_at: unknown;
}

export class MikroOrmScopedLedgerReader extends LedgerReads implements ScopedLedgerReader {
  constructor(
    database: Pick<Database, 'orm' | 'readSlots'>,
    private readonly search: SearchUpdater,
    organizations: OrganizationScope,
    caller: ReadingCaller,
  ) {
    super(database, new LedgerScope(organizations), caller);
  }

  organizations(countMax: number): Promise<Organization[]> {
    const options = { orderBy: { id: 'asc' }, limit: countMax } as const;
    return this.read((em) => em.find(Organization, this.scope.organizations, options));
  }

  async hasPlace(
    { kind, ownerId }: ListIdentity,
    { position, rowId }: Place<Position>,
  ): Promise<boolean> {
    if (typeof position === 'string') return this.#hasRow(kind, position);
    const { where } = this.scope.ofAccount(ownerId);
    const row = await this.read<{ readonly id: string } | null>((em) => {
      if (kind === 'transfer') return em.findOne(Transfer, { ...where, position });
      if (kind === 'incoming-transfer') return em.findOne(IncomingTransfer, { ...where, position });
      const ofOwner = { ...where, sequence: position };
      if (kind === 'ledger-entry') return em.findOne(LedgerEntry, ofOwner);
      return em.findOne(BulkTransfer, ofOwner);
    });
    return row !== null && (rowId === undefined || row.id === rowId);
  }

  /**
   * Tells whether a list in the order of ids contains an id. Lists without an organization are for operators only.
   */
  async #hasRow(kind: ListIdentity['kind'], id: string): Promise<boolean> {
    const isOperators = kind === 'audit' || kind === 'api-key';
    if (isOperators && !this.scope.includesAll) return false;
    const row = await this.read<object | null>((em) => {
      if (kind === 'audit') return em.findOne(AuditEntry, { id });
      if (kind === 'api-key') return em.findOne(ApiKey, { id });
      return em.findOne(Account, { id, ...this.scope.accounts });
    });
    return row !== null;
  }

  async accountIds(countMax: number): Promise<string[]> {
    const options = { fields: ['id'], orderBy: { id: 'asc' }, limit: countMax } as const;
    const accounts = await this.read((em) => em.find(Account, this.scope.accounts, options));
    return accounts.map(({ id }) => id);
  }

  accounts(range: PageRange<string>, organizationId?: string): Promise<ListPage<Account>> {
    const ofOne = organizationId === undefined ? {} : { organizationId };
    const where: FilterQuery<Account> = { $and: [this.scope.accounts, ofOne] };
    return this.readList({ entity: Account, where, key: 'id', order: 'oldest-first' }, range);
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
    const ofAccount = this.scope.ofAccount(accountId);
    const bounds = await this.#positionBounds(accountId, filter);
    if (needsSearch(filter)) {
      const search = { accountId, ofAccount, filter, bounds };
      const inSearch = this.#searchOf(accountId, table.name);
      const page = await inSearch((watermark) =>
        this.read((em) => readFilteredPage(em, table, { ...search, watermark }, range)),
      );
      const read: Read = (statement) => this.read(statement);
      const count = () =>
        inSearch((watermark) => countMatches(read, table, { ...search, watermark }));
      return { ...page, count };
    }
    const { first, last } = bounds;
    const conditions: object[] = [ofAccount.where];
    if (first !== undefined) conditions.push({ position: { $gte: first } });
    if (last !== undefined) conditions.push({ position: { $lte: last } });
    const where = { $and: conditions } as FilterQuery<Row>;
    const list = { entity: table.entity, where, key: 'position', order: 'newest-first' } as const;
    return this.readList<Row, 'position'>(list, range);
  }

  /**
   * Returns a function that runs reads with the watermark of an account. If a rebuild removes the entries during a read,
   * the read is run once more with another watermark.
   * @param before the sequence of the first entry that the reads ignore
   */
  #searchOf(accountId: string, list: SearchedList, before?: bigint): SearchReads {
    let watermark: bigint | undefined;
    const attempt: SearchReads = async (read) => {
      watermark ??= await this.#watermarkOf(accountId, list, before);
      return read(watermark);
    };
    return async (read) => {
      try {
        return await attempt(read);
      } catch (error) {
        if (!(error instanceof EntriesRemovedError)) throw error;
        watermark = undefined;
        return attempt(read);
      }
    };
  }

  /**
   * Returns the sequence of the last ledger entry that the search tables contain. If many transfers follow it, the read
   * waits until they are indexed.
   * @throws UnavailableError if this takes too long
   */
  async #watermarkOf(accountId: string, list: SearchedList, before?: bigint): Promise<bigint> {
    const read = () => this.read((em) => readWatermark(em, accountId, list, before));
    const watermark = await read();
    if (watermark !== undefined) return watermark;
    await this.search.catchUp(accountId);
    const again = await read();
    if (again === undefined) throw new UnavailableError('STATEMENT_FAILED');
    return again;
  }

  /**
   * Converts times to positions. An entry of an account is never earlier than the entries before it. A range of times
   * is therefore a range of the list's own key, which one index serves.
   */
  async #positionBounds(accountId: string, { from, to }: TransferFilter): Promise<PositionBounds> {
    const before = from && (await this.lastEntryUntil(accountId, justBefore(from)));
    const last = to && (await this.lastEntryUntil(accountId, justBefore(to)));
    return {
      ...(before && { first: firstPositionOf(before.sequence + 1n) }),
      ...(to && { last: firstPositionOf((last?.sequence ?? 0n) + 1n) - 1n }),
    };
  }

  entries(
    accountId: string,
    within: SequenceRange,
    order: ListOrder,
    range: PageRange<bigint>,
  ): Promise<ListPage<LedgerEntry>> {
    const where = this.#entriesWhere(accountId, within);
    return this.readList({ entity: LedgerEntry, where, key: 'sequence', order }, range);
  }

  #entriesWhere(accountId: string, { first, last }: SequenceRange): object {
    const sequence = {
      ...(first !== undefined && { $gte: first }),
      ...(last !== undefined && { $lte: last }),
    };
    const isBounded = first !== undefined || last !== undefined;
    return { ...this.scope.ofAccount(accountId).where, ...(isBounded && { sequence }) };
  }

  async lastEntryUntil(accountId: string, moment: Date): Promise<LedgerEntry | null> {
    if (moment < EARLIEST) return null;
    const createdAt = { $lte: moment < LATEST ? moment : LATEST };
    const where = { ...this.scope.ofAccount(accountId).where, createdAt };
    const orderBy = { createdAt: 'desc', sequence: 'desc' } as const;
    return this.read((em) => em.findOne(LedgerEntry, where, { orderBy }));
  }

  async entryTotals(accountId: string, within: SequenceRange): Promise<EntryTotals> {
    // The sums are read as text, because SQLite's driver would read a large sum as a double.
    const row: Record<string, unknown> | null = await this.read((em) =>
      em
        .createQueryBuilder<object>(LedgerEntry)
        .select([
          raw(
            'cast(coalesce(sum(case when amount_minor < 0 then -amount_minor end), 0) as char) as debits',
          ),
          raw(
            'cast(coalesce(sum(case when amount_minor > 0 then amount_minor end), 0) as char) as credits',
          ),
        ])
        .where(this.#entriesWhere(accountId, within))
        .execute('get', false),
    );
    return {
      debitsMinor: BigInt(String(row?.debits ?? 0)),
      creditsMinor: BigInt(String(row?.credits ?? 0)),
    };
  }

  async paidNames(
    accountId: string,
    ibans: readonly string[],
    before: bigint | undefined,
  ): Promise<PaidName[]> {
    const payees = ibans.filter(hasIbanShape);
    if (payees.length === 0) return [];
    const inSearch = this.#searchOf(accountId, 'transfer', before);
    const rows = await inSearch((watermark) =>
      this.#readPaidNames({ accountId, payees, before, watermark }),
    );
    const latestFirst = rows.toSorted((one, other) =>
      Number(BigInt(other.position) - BigInt(one.position)),
    );
    const byIban = Map.groupBy(latestFirst, (row) => row.counterparty_iban);
    return [...byIban.values()]
      .flatMap((ofIban) => ofIban.slice(0, NAMED_TRANSFERS_MAX))
      .map((row) => ({
        counterpartyIban: row.counterparty_iban,
        counterpartyName: row.counterparty_name,
        amount: formatAmount(BigInt(row.amount_minor), row.currency),
        description: row.description,
        bulkTransferId: stringify(row.bulk_transfer_id),
        paidAt: dateOf(row.created_at),
      }));
  }

  /** Reads the tail once, and the indexed transfers of some IBANs at a time. */
  async #readPaidNames({
    accountId,
    payees,
    before,
    watermark,
  }: PaidNamesRead): Promise<PaidNameRow[]> {
    const end = firstPositionOf(before ?? SEQUENCE_MAX);
    const tail = firstPositionOf(watermark + 1n);
    const read = (positions: string) => {
      const sql = this.#paidNamesSelect(accountId, positions, watermark);
      return this.read((em) => em.getConnection().execute<PaidNameRow[]>(sql));
    };
    const rows: PaidNameRow[] = [];
    const hasTail = tail < end;
    if (hasTail) {
      const ofPayees = `counterparty_iban in (${payees.map(ibanLiteral).join(',')})`;
      rows.push(
        ...(await read(`select position from transfer where account_id = ${idLiteral(accountId)}
          and position >= ${tail} and position < ${end} and ${ofPayees}`)),
      );
    }
    const indexedEnd = hasTail ? tail : end;
    for (let start = 0; start < payees.length; start += IBANS_AT_ONCE) {
      if (this.caller.isAbandoned?.()) throw new AbandonedError();
      // Each select reads the end of one range of the search table. SQLite requires that the limit of one select is
      // inside a subquery, and MariaDB requires a name for the subquery.
      const latest = payees.slice(start, start + IBANS_AT_ONCE).map(
        (iban) => `select position from (select position from search_iban
          where ${isOfList(accountId, 'transfer')} and counterparty_iban = ${ibanLiteral(iban)}
            and position < ${indexedEnd}
          order by position desc limit ${NAMED_TRANSFERS_MAX}) latest`,
      );
      rows.push(...(await read(latest.join(' union all '))));
    }
    if (rows.some(({ counterparty_iban }) => counterparty_iban === null)) {
      throw new EntriesRemovedError();
    }
    return rows;
  }

  /**
   * Returns the select of the names at some positions. It has a row of nulls if the search tables no longer have all
   * entries up to the watermark. An ORM's conditions would take a microsecond each.
   */
  #paidNamesSelect(accountId: string, positions: string, watermark: bigint): string {
    const { isVisibleSql } = this.scope.ofAccount(accountId);
    const account = idLiteral(accountId);
    return `select counterparty_iban, counterparty_name, position, transfer.amount_minor,
        bulk_transfer.currency, transfer.description, bulk_transfer.created_at,
        bulk_transfer.id as bulk_transfer_id
      from (select position as paid_position from (${positions}) latest) paid
      cross join transfer on transfer.account_id = ${account} and transfer.position = paid_position
      cross join bulk_transfer on bulk_transfer.account_id = ${account}
        and bulk_transfer.sequence = ${sequenceSql('paid_position')}
      where ${isVisibleSql}
      union all select null, null, null, null, null, null, null, null where not ${isIndexedTo(accountId, watermark)}`;
  }
}

/** Returns an IBAN as a SQL literal. A text with the shape of an IBAN needs no escaping. */
function ibanLiteral(iban: string): string {
  return `'${iban}'`;
}

/** Returns the last moment before another moment. Times are stored to the millisecond. */
function justBefore(moment: Date): Date {
  return new Date(moment.getTime() - 1);
}
