import type { EntityClass, FilterQuery } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import DataLoader from 'dataloader';
import type { ListPage, PageRange, Position } from '../../application/ports/page.js';
import type { ReadingCaller } from '../../application/ports/scoped-ledger-reader.js';
import { hasIbanShape } from '../../domain/iban.js';
import { idempotencyKeyProblems } from '../../domain/idempotency.js';
import { type PositionedKind, parsePositionId } from '../../domain/position-id.js';
import { firstPositionOf } from '../../domain/postings.js';
import { Account } from '../../entities/account.entity.js';
import { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import { Organization } from '../../entities/organization.entity.js';
import { Transfer } from '../../entities/transfer.entity.js';
import type { Database } from '../database/dialect.js';
import { throwUnavailable } from '../database/unavailability.js';
import { type KeysetList, readListPage } from './keyset-page.js';
import type { LedgerScope } from './ledger-scope.js';

/** The largest number of accounts in one read. Their entities are made in one turn of the event loop. */
const ACCOUNTS_MAX = 1_000;

/**
 * Options of a look-up with which every bulk begins. The look-ups of requests that arrive at the same time are one
 * statement. Nothing is cached, so each look-up sees everything that was committed before it.
 */
export const ACROSS_REQUESTS = {
  cache: false,
  maxBatchSize: 500,
  batchScheduleFn: (dispatch: () => void) => void setImmediate(dispatch),
};

interface IdempotencyKeyOfAccount {
  readonly accountId: string;
  readonly idempotencyKey: string;
}

/**
 * The reads that both ledger readers share, each within its scope. They always read the committed state. No entity is
 * cached or can be written back.
 */
export abstract class LedgerReads {
  readonly #accountByIban = new DataLoader(
    (ibans: readonly string[]) => this.#readAccountsByIban(ibans),
    ACROSS_REQUESTS,
  );
  readonly #bulkTransfersByKey = new DataLoader(
    (keys: readonly IdempotencyKeyOfAccount[]) => this.#readBulkTransfersByKey(keys),
    ACROSS_REQUESTS,
  );

  constructor(
    private readonly database: Pick<Database, 'orm' | 'readSlots'>,
    protected readonly scope: LedgerScope,
    protected readonly caller: ReadingCaller,
  ) {}

  /**
   * Runs one statement in the caller's turn.
   * @throws UnavailableError if the database is unavailable
   */
  protected read<Result>(
    statement: (em: EntityManager) => Promise<Result>,
    key = this.caller.key,
  ): Promise<Result> {
    const { orm, readSlots } = this.database;
    const read = () => statement(orm.em.fork()).catch(throwUnavailable);
    return readSlots.run(key, read, this.caller.isAbandoned);
  }

  protected readList<Row extends object, Key extends string & keyof Row>(
    list: KeysetList<Row, Key>,
    range: PageRange<Row[Key] & Position>,
  ): Promise<ListPage<Row>> {
    return readListPage((statement) => this.read(statement), list, range);
  }

  async accountByIban(iban: string): Promise<Account | null> {
    return hasIbanShape(iban) ? this.#accountByIban.load(iban) : null;
  }

  async #readAccountsByIban(ibans: readonly string[]): Promise<(Account | null)[]> {
    const where = { iban: { $in: [...ibans] }, ...this.scope.accounts };
    const found = await this.read((em) => em.find(Account, where));
    const byIban = new Map(found.map((account) => [account.iban, account]));
    return ibans.map((iban) => byIban.get(iban) ?? null);
  }

  async bulkTransferByKey(accountId: string, idempotencyKey: string): Promise<BulkTransfer | null> {
    if (idempotencyKeyProblems(idempotencyKey).length > 0) return null;
    return this.#bulkTransfersByKey.load({ accountId, idempotencyKey });
  }

  async #readBulkTransfersByKey(
    keys: readonly IdempotencyKeyOfAccount[],
  ): Promise<(BulkTransfer | null)[]> {
    const byAccount = Map.groupBy(keys, ({ accountId }) => accountId);
    const $or = [...byAccount].map(([accountId, ofAccount]) => ({
      accountId,
      idempotencyKey: { $in: ofAccount.map(({ idempotencyKey }) => idempotencyKey) },
    }));
    const where = this.scope.ofAnyAccount<BulkTransfer>({ $or });
    const found = await this.read((em) => em.find(BulkTransfer, where));
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
      const where = { id: { $in: some }, ...this.scope.accounts };
      found.push(...(await this.read((em) => em.find(Account, where))));
    }
    return inOrderOf(ids, found);
  }

  async organizationsById(ids: readonly string[]): Promise<(Organization | null)[]> {
    const $and = [{ id: { $in: [...ids] } }, this.scope.organizations];
    return inOrderOf(ids, await this.read((em) => em.find(Organization, { $and })));
  }

  async bulkTransfersById(ids: readonly string[]): Promise<(BulkTransfer | null)[]> {
    const where = this.scope.ofAnyAccount<BulkTransfer>({ id: { $in: [...ids] } });
    return inOrderOf(ids, await this.read((em) => em.find(BulkTransfer, where)));
  }

  async transfersById(ids: readonly string[]): Promise<(Transfer | null)[]> {
    return this.#rowsByPositionId<Transfer>(ids, 'transfer', Transfer);
  }

  async entriesById(ids: readonly string[]): Promise<(LedgerEntry | null)[]> {
    const where = this.scope.ofAnyAccount<LedgerEntry>({ id: { $in: [...ids] } });
    return inOrderOf(ids, await this.read((em) => em.find(LedgerEntry, where)));
  }

  async incomingTransfersById(ids: readonly string[]): Promise<(IncomingTransfer | null)[]> {
    return this.#rowsByPositionId<IncomingTransfer>(ids, 'incoming-transfer', IncomingTransfer);
  }

  async #rowsByPositionId<Row extends Transfer | IncomingTransfer>(
    ids: readonly string[],
    kind: PositionedKind,
    entity: EntityClass<Row>,
  ): Promise<(Row | null)[]> {
    const references = ids.flatMap((id) => parsePositionId(id) ?? []);
    const ofKind = references.filter((reference) => reference.kind === kind);
    if (ofKind.length === 0) return ids.map(() => null);
    const byAccount = Map.groupBy(ofKind, ({ accountShortId }) => accountShortId);
    const ofAccounts = { shortId: { $in: [...byAccount.keys()] }, ...this.scope.accounts };
    const fields = ['shortId'] as const;
    const accounts = await this.read((em) => em.find(Account, ofAccounts, { fields }));
    if (accounts.length === 0) return ids.map(() => null);
    // With a join, a database would read the whole accounts.
    const rows = accounts.map(({ id, shortId }) => ({
      accountId: id,
      position: { $in: (byAccount.get(shortId) ?? []).map(({ position }) => position) },
    }));
    const where = { $or: rows } as FilterQuery<NoInfer<Row>>;
    return inOrderOf(ids, await this.read((em) => em.find<Row>(entity, where)));
  }

  bulkTransfers(accountId: string, range: PageRange<bigint>): Promise<ListPage<BulkTransfer>> {
    const { where } = this.scope.ofAccount(accountId);
    return this.readList(
      { entity: BulkTransfer, where, key: 'sequence', order: 'newest-first' },
      range,
    );
  }

  transfersOfBulk(
    { accountId, sequence }: Pick<BulkTransfer, 'accountId' | 'sequence'>,
    range: PageRange<bigint>,
  ): Promise<ListPage<Transfer>> {
    const where = { ...this.scope.ofAccount(accountId).where, position: positionsOf(sequence) };
    return this.readList(
      { entity: Transfer, where, key: 'position', order: 'oldest-first' },
      range,
    );
  }
}

/** Returns the positions of the transfers of one ledger entry. */
export function positionsOf(sequence: bigint): { readonly $gte: bigint; readonly $lt: bigint } {
  return { $gte: firstPositionOf(sequence), $lt: firstPositionOf(sequence + 1n) };
}

/** Returns one entity for each id, in the order of the ids; null for an id that was not found. */
function inOrderOf<Entity extends { readonly id: string }>(
  ids: readonly string[],
  found: readonly Entity[],
): (Entity | null)[] {
  const byId = new Map(found.map((entity) => [entity.id, entity]));
  return ids.map((id) => byId.get(id) ?? null);
}
