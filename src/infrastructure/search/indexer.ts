/**
 * The indexer follows the ledger into the search tables: see search-tables.ts.
 *
 * It learns of changed accounts from the commits of this process, and from reads that find many transfers after an
 * account's watermark. A sweep at the start and at intervals finds what others left, such as a server that died. Each
 * batch takes entries of many accounts, and moves their watermarks in the same transaction. After a failure, the batch
 * is tried again. Bulks wait for an indexer that is slow, but not for one that fails.
 *
 * An account whose watermark is not an entry of the ledger is removed from the search tables, in many short transactions,
 * and is then indexed from its first entry on. The watermark says that the removal has begun, so whoever indexes the
 * account next continues it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { UniqueConstraintViolationException } from '@mikro-orm/core';
import { UnavailableError } from '../../domain/errors.js';
import { firstPositionOf, sequenceOf } from '../../domain/postings.js';
import { backoffMs } from '../backoff.js';
import type { Database } from '../database/dialect.js';
import { idLiteral, idOfHex, NO_ID } from '../database/id-literal.js';
import { isOutage } from '../database/unavailability.js';
import type { Logger } from '../observability/logger.js';
import {
  beginRemovalStatement,
  type IndexedRange,
  indexStatements,
  orphansSelect,
  removeStatements,
} from './search-batch.js';
import { joinWatermark, WATERMARK } from './search-tables.js';
import { type IndexedAccount, readIndexedAccounts } from './watermark.js';

/**
 * The time for which commits gather into one batch, unless the batch is full before. Each batch costs a commit and
 * changes many pages, so large batches are cheaper. Filters read the transfers that wait from the ledger.
 */
const GATHER_MS = 1_000;

/** The largest number of accounts in one batch. */
const ACCOUNTS_MAX = 100;

/** The number of transfers at which a batch is full. An entry with more of them is a batch of its own. */
const BATCH_ROWS = 10_000;

/** The number of entries that are read for a batch. They are shared among its accounts. */
const ENTRIES_MAX = 3_000;

/** The number of rows that one transaction removes from each search table. MariaDB takes some 0.2 s for all four. */
const REMOVED_ROWS = 10_000;

/** A backlog of this size is indexed within a few seconds, before reads stop waiting for it. */
const BACKLOG_ROWS_MAX = 50_000;

/** The longest time that bulks wait for the indexer without progress. */
const STALL_MAX_MS = 3_000;

/** The interval between sweeps for accounts that another server left behind. */
const SWEEP_MS = 60_000;

/** The number of accounts that one statement of a sweep reads. */
const SWEEP_ACCOUNTS = 1_000;

/** The longest time for which a rebuild tries again without progress. */
const REBUILD_STALL_MAX_MS = 30_000;

/** The longest time that a read waits for the account to be indexed. */
const CATCH_UP_MAX_MS = 5_000;

const BACKOFF = { firstMs: 50, maxMs: 5_000 };

/** Receives the accounts that a commit changed. */
export interface CommitFollower {
  /** Takes note of a commit. It never throws. @param rowCount the number of transfers that were committed */
  noteCommit(accountIds: readonly string[], rowCount: number): void;
  /** Tells whether bulks may be committed. If not, the caller is called back as soon as they may. */
  hasRoom(callBack: () => void): boolean;
}

/** Brings the search tables up to date for reads. */
export interface SearchUpdater {
  /**
   * Waits until the entries of an account that exist now are indexed.
   * @throws UnavailableError if this takes too long
   */
  catchUp(accountId: string): Promise<void>;
}

/** The follower of a process that serves no reads. The next server indexes the commits of the process. */
export const NO_FOLLOWER: CommitFollower = { noteCommit: () => {}, hasRoom: () => true };

/** A ledger entry after a watermark, as the driver returns it. */
interface EntryRow {
  readonly account: string;
  readonly id: string;
  readonly sequence: number | string;
  readonly kind: string;
  readonly sent_count: number;
}

/** A ledger entry after a watermark. */
interface NextEntry {
  readonly id: string;
  readonly sequence: bigint;
  readonly isIncoming: boolean;
  /** The number of transfers that the entry sent. */
  readonly sentCount: number;
  /** The number of transfers that the entry sent or received. */
  readonly rowCount: number;
}

/** The number of transfers that a ledger entry received, as the driver returns it. */
interface ReceivedRow {
  readonly account: string;
  readonly first_position: number | string;
  readonly received_count: number | string;
}

/** An account of a sweep, as the driver returns it. */
interface SweptRow {
  readonly id: string;
  readonly is_behind: number;
}

/** An account that the ledger does not have, as the driver returns it. */
interface OrphanRow {
  readonly account_short_id: number;
}

/** The entries that a batch adds, and the accounts that have more entries. */
interface Batch {
  readonly ranges: readonly IndexedRange[];
  /** The number of transfers that these entries sent. Commits report the same number. */
  readonly sentCount: number;
  readonly unfinished: ReadonlySet<string>;
}

export class Indexer implements CommitFollower, SearchUpdater {
  readonly #stopping = new AbortController();
  /** The accounts that may have entries after their watermark. */
  #changed = new Set<string>();
  /** The number of transfers of commits of this process since the last time that nothing was left to index. */
  #backlogRows = 0;
  readonly #waitingForRoom = new Set<() => void>();
  #stallTimer: NodeJS.Timeout | undefined;
  readonly #waitingReads = new Map<string, (() => void)[]>();
  #running: Promise<void> | undefined;
  /** The longest time for which the current rebuild tries again; undefined if there is no rebuild. */
  #rebuildStallMaxMs: number | undefined;
  /** The last ledger entries of the accounts of the current rebuild. A server indexes the entries after them. */
  #rebuildHeads: ReadonlyMap<string, bigint> = new Map();
  /** The error for which the rebuild gave up. */
  #rebuildError: unknown;
  /** Tells whether the last batch left work that it knew of. */
  #hasMore = false;
  #isFailing = false;
  #endGathering: () => void = () => {};
  #sweeping: Promise<void> | undefined;

  /** @param backlogRowsMax the number of committed transfers that may wait before bulks wait too */
  constructor(
    private readonly database: Pick<
      Database,
      'orm' | 'writeSearch' | 'deleteSome' | 'isContention'
    >,
    private readonly logger: Logger,
    private readonly backlogRowsMax = BACKLOG_ROWS_MAX,
  ) {}

  start(): void {
    this.#sweeping = this.#sweepAtIntervals();
  }

  /** Ends the current batch, and starts no other. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#setBacklog(0);
    this.#endGathering();
    await this.#sweeping;
    await this.#running;
  }

  /** Tells whether the last batch failed. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** Removes the entries of accounts that the ledger does not have. */
  async removeOrphans(): Promise<void> {
    const { orm, writeSearch } = this.database;
    const orphans = await orm.em.fork().execute<OrphanRow[]>(orphansSelect());
    for (const { account_short_id: shortId } of orphans) {
      await writeSearch([beginRemovalStatement([shortId])]);
      // A restored ledger may have the account again. Then its entries are right.
      const ofOrphan = `select 1 from ${WATERMARK.name} where account_short_id = ${shortId}
        and not exists (select 1 from account where short_id = ${shortId})`;
      do await this.#removeSome([shortId]);
      while ((await orm.em.fork().execute<object[]>(ofOrphan)).length > 0);
    }
  }

  /**
   * Removes all entries of accounts, and indexes the accounts from their first ledger entry on.
   * @param stallMaxMs the time after which a rebuild without progress gives up
   * @throws the last error of the database. The next server or rebuild continues
   */
  async rebuild(
    accounts: readonly { readonly id: string; readonly shortId: number }[],
    stallMaxMs = REBUILD_STALL_MAX_MS,
  ): Promise<void> {
    const ids = accounts.map(({ id }) => id);
    const shortIds = accounts.map(({ shortId }) => shortId);
    const { orm } = this.database;
    this.#rebuildHeads = new Map(
      (await readIndexedAccounts(orm.em.fork(), ids)).map(({ accountId, head }) => [
        accountId,
        head,
      ]),
    );
    await this.database.writeSearch([beginRemovalStatement(shortIds)]);
    this.#rebuildStallMaxMs = stallMaxMs;
    this.noteCommit(ids, 0);
    await this.#running;
    if (this.#rebuildError !== undefined) throw this.#rebuildError;
  }

  noteCommit(accountIds: readonly string[], rowCount: number): void {
    for (const id of accountIds) this.#changed.add(id);
    this.#backlogRows += rowCount;
    this.#run();
    if (this.#isUrgent) this.#endGathering();
  }

  hasRoom(callBack: () => void): boolean {
    if (this.#backlogRows < this.backlogRowsMax || this.#stopping.signal.aborted) return true;
    this.#waitingForRoom.add(callBack);
    this.#stallTimer ??= setTimeout(() => this.#setBacklog(0), STALL_MAX_MS);
    return false;
  }

  async catchUp(accountId: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const late = () => reject(new UnavailableError('STATEMENT_FAILED'));
    const timer = setTimeout(late, CATCH_UP_MAX_MS);
    this.#waitingReads.set(accountId, [...(this.#waitingReads.get(accountId) ?? []), resolve]);
    this.#changed.add(accountId);
    this.#run();
    this.#endGathering();
    await promise.finally(() => {
      clearTimeout(timer);
      this.#forgetReads(accountId, [resolve]);
    });
  }

  #run(): void {
    const hasWork = this.#changed.size > 0 && !this.#stopping.signal.aborted;
    if (hasWork && !this.#running) this.#running = this.#indexAll();
  }

  /** Indexes batches until no account is left. It never throws. */
  async #indexAll(): Promise<void> {
    let failures = 0;
    let progressAt = performance.now();
    while (this.#changed.size > 0 && !this.#stopping.signal.aborted) {
      if (failures > 0) await this.#pause(backoffMs(failures, BACKOFF));
      else await this.#gather();
      const accountIds = this.#nextAccounts();
      for (const id of accountIds) this.#changed.delete(id);
      try {
        await this.#indexSome(accountIds);
        failures = 0;
        this.#isFailing = false;
        progressAt = performance.now();
      } catch (error) {
        for (const id of accountIds) this.#changed.add(id);
        if (!this.#isFromAnotherIndexer(error)) {
          failures += 1;
          this.#noteFailure(error, failures);
        }
        const stalledMs = performance.now() - progressAt;
        if (this.#rebuildStallMaxMs !== undefined && stalledMs >= this.#rebuildStallMaxMs) {
          this.#rebuildError = error;
          this.#changed.clear();
        }
      }
    }
    // A commit after the last check starts the next run.
    this.#running = undefined;
  }

  /**
   * Tells whether another server indexed an account first, or deadlocked with this one. The next batch reads the
   * watermark of that server.
   */
  #isFromAnotherIndexer(error: unknown): boolean {
    return error instanceof UniqueConstraintViolationException || this.database.isContention(error);
  }

  #noteFailure(error: unknown, failures: number): void {
    this.#isFailing = true;
    // Payments do not depend on the search tables.
    this.#setBacklog(0);
    // An outage of the database has a log line of its own.
    if (failures === 1 && !isOutage(error)) {
      this.logger.warn({ err: error }, 'Search tables not updated');
    }
  }

  get #isUrgent(): boolean {
    const isWaitedFor = this.#waitingReads.size > 0 || this.#rebuildStallMaxMs !== undefined;
    return (
      isWaitedFor ||
      this.#hasMore ||
      this.#backlogRows >= BATCH_ROWS ||
      this.#stopping.signal.aborted
    );
  }

  /** Waits until commits have gathered, or until the next batch is urgent. */
  #gather(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#isUrgent ? 0 : GATHER_MS);
      this.#endGathering = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Returns the accounts of the next batch. Accounts for which a read waits come first. */
  #nextAccounts(): string[] {
    const urgent = [...this.#waitingReads.keys()].filter((id) => this.#changed.has(id));
    return [...new Set([...urgent, ...this.#changed])].slice(0, ACCOUNTS_MAX);
  }

  async #indexSome(accountIds: readonly string[]): Promise<void> {
    // The batch may lack entries that are committed after it was read.
    const reads = new Map(accountIds.map((id) => [id, [...(this.#waitingReads.get(id) ?? [])]]));
    const { ranges, sentCount, unfinished } = await this.#readBatch(accountIds);
    if (ranges.length > 0) await this.database.writeSearch(indexStatements(ranges));
    for (const id of unfinished) this.#changed.add(id);
    this.#hasMore = unfinished.size > 0;
    for (const [id, waiting] of reads) {
      if (unfinished.has(id)) continue;
      for (const answer of waiting) answer();
      this.#forgetReads(id, waiting);
    }
    // Commits of other servers are indexed too, and are not part of the backlog. A batch that only removes is no progress.
    if (this.#changed.size === 0) this.#setBacklog(0);
    else if (ranges.length > 0) this.#setBacklog(Math.max(0, this.#backlogRows - sentCount));
  }

  #forgetReads(accountId: string, answered: readonly (() => void)[]): void {
    const others = (this.#waitingReads.get(accountId) ?? []).filter(
      (waiting) => !answered.includes(waiting),
    );
    if (others.length > 0) this.#waitingReads.set(accountId, others);
    else this.#waitingReads.delete(accountId);
  }

  /** Sets the number of transfers that wait, after progress or when bulks may no longer wait for progress. */
  #setBacklog(rowCount: number): void {
    clearTimeout(this.#stallTimer);
    this.#stallTimer = undefined;
    this.#backlogRows = rowCount;
    if (rowCount >= this.backlogRowsMax) return;
    const waiting = [...this.#waitingForRoom];
    this.#waitingForRoom.clear();
    for (const callBack of waiting) callBack();
  }

  /** Removes some entries of the accounts that have to be removed, and reads the batch of the others. */
  async #readBatch(accountIds: readonly string[]): Promise<Batch> {
    const accounts = await readIndexedAccounts(this.database.orm.em.fork(), accountIds);
    const wrong = accounts.filter(({ isRight }) => !isRight);
    if (wrong.length > 0) await this.#removeWrong(wrong);
    const behind = accounts.filter(({ isRight, watermark, head }) => isRight && watermark < head);
    const batch = this.#chooseEntries(behind, await this.#readEntries(behind));
    const unfinished = [...batch.unfinished, ...wrong.map(({ accountId }) => accountId)];
    return { ...batch, unfinished: new Set(unfinished) };
  }

  #removeWrong(accounts: readonly IndexedAccount[]): Promise<void> {
    const ofAnotherLedger = accounts.filter(({ watermark }) => watermark > 0n).length;
    if (ofAnotherLedger > 0) {
      this.logger.warn({ accounts: ofAnotherLedger }, 'Search entries of another ledger removed');
    }
    return this.#removeSome(accounts.map(({ shortId }) => shortId));
  }

  #removeSome(shortIds: readonly number[]): Promise<void> {
    const { deleteSome } = this.database;
    return this.database.writeSearch(removeStatements(shortIds, deleteSome, REMOVED_ROWS));
  }

  /** Reads the next entries of each account, by account, in the order of sequence. */
  async #readEntries(
    accounts: readonly IndexedAccount[],
  ): Promise<ReadonlyMap<string, readonly NextEntry[]>> {
    if (accounts.length === 0) return new Map();
    // SQLite requires that the limit of one select is inside a subquery, and MariaDB requires a name for it.
    const limit = Math.ceil(ENTRIES_MAX / accounts.length);
    const ofEach = accounts.map(
      ({ accountId, watermark }) =>
        `select * from (select hex(entry.account_id) as account, hex(entry.id) as id, entry.sequence,
          entry.kind, coalesce(bulk.transfer_count, 0) as sent_count
        from ledger_entry entry left join bulk_transfer bulk
          on bulk.id = entry.bulk_transfer_id and entry.kind = 'BULK_TRANSFER'
        where entry.account_id = ${idLiteral(accountId)} and entry.sequence > ${watermark}
        order by entry.sequence limit ${limit}) entries`,
    );
    const rows: EntryRow[] = await this.database.orm.em.fork().execute(ofEach.join(' union all '));
    const received = await this.#countReceived(rows);
    return Map.groupBy(
      rows
        .map((row) => nextEntryOf(row, received))
        .sort((one, other) => Number(one.sequence - other.sequence)),
      ({ accountId }) => accountId,
    );
  }

  /**
   * Counts the transfers that entries received, by the first position of each entry of an account. Of each account, as
   * many transfers are counted as fill a batch; an entry beyond them is not in the result.
   */
  async #countReceived(rows: readonly EntryRow[]): Promise<ReadonlyMap<string, number>> {
    const incoming = rows.filter(({ kind }) => kind === 'BOOK_TRANSFER');
    if (incoming.length === 0) return new Map();
    const ofEach = [...Map.groupBy(incoming, ({ account }) => account)].map(
      ([account, entries]) => {
        const sequences = entries.map(({ sequence }) => Number(sequence));
        const first = firstPositionOf(BigInt(Math.min(...sequences)));
        const end = firstPositionOf(BigInt(Math.max(...sequences)) + 1n);
        return `select hex(account_id) as account, first_position, count(*) as received_count
        from (select account_id, position - position % ${firstPositionOf(1n)} as first_position
          from incoming_transfer where account_id = ${idLiteral(idOfHex(account))}
            and position >= ${first} and position < ${end}
          order by position limit ${BATCH_ROWS}) received
        group by account_id, first_position`;
      },
    );
    const counts: ReceivedRow[] = await this.database.orm.em
      .fork()
      .execute(ofEach.join(' union all '));
    return new Map(
      counts.map(({ account, first_position, received_count }) => [
        account + sequenceOf(BigInt(first_position)),
        Number(received_count),
      ]),
    );
  }

  /** Chooses the entries of a batch: those of one account after those of another, until the batch is full. */
  #chooseEntries(
    accounts: readonly IndexedAccount[],
    entries: ReadonlyMap<string, readonly NextEntry[]>,
  ): Batch {
    const ranges: IndexedRange[] = [];
    const unfinished = new Set<string>();
    let rowCount = 0;
    let sentCount = 0;
    for (const { accountId, shortId, watermark, head } of accounts) {
      const chosen: NextEntry[] = [];
      for (const entry of entries.get(accountId) ?? []) {
        if (rowCount > 0 && rowCount + entry.rowCount > BATCH_ROWS) break;
        rowCount += entry.rowCount;
        sentCount += entry.sentCount;
        chosen.push(entry);
      }
      const last = chosen.at(-1);
      const end = this.#rebuildHeads.get(accountId) ?? head;
      if (!last || last.sequence < end) unfinished.add(accountId);
      if (!last) continue;
      ranges.push({
        accountId,
        shortId,
        after: watermark,
        last: last.sequence,
        lastEntryId: last.id,
        hasIncomingTransfers: chosen.some(({ isIncoming }) => isIncoming),
      });
    }
    return { ranges, sentCount, unfinished };
  }

  async #sweepAtIntervals(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      // The next sweep finds what this one does not.
      await this.#sweep().catch(() => {});
      await this.#pause(SWEEP_MS);
    }
  }

  /** Finds the accounts that have entries after their watermark. */
  async #sweep(): Promise<void> {
    let last: string | undefined = NO_ID;
    while (last !== undefined && !this.#stopping.signal.aborted) {
      const rows: SweptRow[] = await this.database.orm.em.fork().execute(
        `select hex(account.id) as id,
          (coalesce(watermark.sequence, 0) <> account.sequence
            or (watermark.sequence is not null and indexed_entry.id is null)) as is_behind
        from (select id, short_id, sequence from account where id > ${idLiteral(last)}
          order by id limit ${SWEEP_ACCOUNTS}) account ${joinWatermark('account')}
        order by account.id`,
      );
      for (const { id, is_behind } of rows) if (Number(is_behind)) this.#changed.add(idOfHex(id));
      this.#run();
      const end = rows.at(-1);
      last = end && idOfHex(end.id);
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

/** @param received the counted transfers; an entry that received transfers and was not counted fills a batch */
function nextEntryOf(
  { account, id, sequence, kind, sent_count: sentCount }: EntryRow,
  received: ReadonlyMap<string, number>,
): NextEntry & { readonly accountId: string } {
  const isIncoming = kind === 'BOOK_TRANSFER';
  const receivedCount = isIncoming ? (received.get(`${account}${sequence}`) ?? BATCH_ROWS) : 0;
  return {
    accountId: idOfHex(account),
    id: idOfHex(id),
    sequence: BigInt(sequence),
    isIncoming,
    sentCount,
    rowCount: sentCount + receivedCount,
  };
}
