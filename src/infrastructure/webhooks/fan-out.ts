/**
 * The fan-out: makes the deliveries of each event for the webhooks that chose it. It follows the ledger by position, so
 * no bulk waits for it, no event is lost, and no broker is needed.
 *
 * Each webhook has a cursor for each of its accounts. One transaction moves a cursor and adds the deliveries of the
 * events before it. It fails if another server has moved the cursor meanwhile, so each event has one delivery. A bulk of
 * many transfers takes several transactions.
 *
 * A server makes the deliveries of its own commits at once. A sweep finds the accounts that others left behind, because
 * they stopped or the database was unavailable. Cursors that are behind take turns, one transaction each, so a webhook
 * that is enabled after a month delays no other.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { raw, UniqueConstraintViolationException } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import type { Clock } from '../../application/ports/clock.js';
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import type { NewId } from '../../domain/id.js';
import { LEDGER_EVENT_KINDS, type LedgerEventKind } from '../../domain/kinds.js';
import { bulkTransferIdOf, positionId } from '../../domain/position-id.js';
import { firstPositionOf, indexOf, sequenceOf } from '../../domain/postings.js';
import { IncomingTransfer } from '../../entities/incoming-transfer.entity.js';
import type { LedgerEntry } from '../../entities/ledger-entry.entity.js';
import { WebhookCursor } from '../../entities/webhook-cursor.entity.js';
import { WebhookDelivery } from '../../entities/webhook-delivery.entity.js';
import { backoffMs } from '../backoff.js';
import { type AppendTable, appendTableOf } from '../database/append-rows.js';
import type { Database } from '../database/dialect.js';
import { idLiteral, idOfHex, NO_ID } from '../database/id-literal.js';
import { inTransaction } from '../database/transaction.js';
import { isOutage } from '../database/unavailability.js';
import type { Logger } from '../observability/logger.js';
import { firstPendingOf, lockWebhooks, startNext } from './deliveries.js';
import type { EndpointKey } from './endpoints.js';

/** The largest number of deliveries that one transaction adds. */
const DELIVERIES_MAX = 1_000;

/** The largest number of ledger entries that one transaction covers. */
const ENTRIES_MAX = 500;

/** The largest number of accounts whose cursors one statement reads. */
const ACCOUNTS_MAX = 100;

/** The largest number of cursors that one statement of a sweep returns. */
const SWEPT_MAX = 500;

/** The time between two sweeps. */
const SWEEP_MS = 10_000;

/** The time between two sweeps, in durations of the sweep before. A long sweep of a large database comes less often. */
const SWEEP_DURATIONS = 50;

/** The longest time between two sweeps. */
const SWEEP_MAX_MS = 60_000;

/** The time for which commits gather, so that one transaction covers many small bulks of an account. */
const GATHER_MS = 10;

const BACKOFF = { firstMs: 100, maxMs: 10_000 };

/** A cursor that is behind its account. */
interface Behind {
  readonly webhookId: string;
  readonly organizationId: string;
  readonly accountId: string;
  readonly events: ReadonlySet<LedgerEventKind>;
  readonly ordered: boolean;
  /** The position of the cursor; undefined if it has no row, because the account was opened after the webhook. */
  readonly position: bigint | undefined;
}

/** A row as the driver returns it. */
interface BehindRow {
  readonly webhook: string;
  readonly organization: string;
  readonly account: string;
  readonly events: string;
  readonly ordered: number;
  readonly position: number | string | null;
}

/** The events between a cursor and the position to which it moves. */
interface NextEvents {
  readonly events: readonly NextEvent[];
  readonly end: bigint;
  /** Tells whether the account had more ledger entries when these were read. */
  readonly hasMore: boolean;
}

interface NextEvent {
  readonly kind: LedgerEventKind;
  readonly eventId: string;
  readonly position: bigint;
}

export interface FanOutPorts {
  readonly database: Pick<Database, 'orm' | 'appendRows' | 'isContention'>;
  readonly reader: LedgerReader;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly logger: Logger;
  /** Called after deliveries of a webhook were added. */
  readonly onDeliveries: (webhook: EndpointKey) => void;
}

export class WebhookFanOut {
  readonly #stopping = new AbortController();
  readonly #table: AppendTable<WebhookDelivery>;
  /** The accounts with new ledger entries. */
  readonly #changed = new Set<string>();
  /** The cursors that are behind, by webhook and account, in the order of their turns. */
  readonly #behind = new Map<string, Behind>();
  /** The last cursor of the last page of the sweep; undefined between two sweeps. */
  #sweptTo: Behind | undefined;
  /** Tells whether a webhook may exist. Without webhooks, a commit costs nothing here. */
  #hasWebhooks = true;
  #wakeUp: (() => void) | undefined;
  #isSweepDue = true;
  /** The time that the pages of this sweep have taken, in milliseconds. */
  #sweepMs = 0;
  #sweepTimer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(private readonly ports: FanOutPorts) {
    this.#table = appendTableOf(ports.database.orm, WebhookDelivery);
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeUp?.();
    await this.#running;
    clearTimeout(this.#sweepTimer);
  }

  /** Reports accounts that have new ledger entries. */
  noteCommit(accountIds: readonly string[]): void {
    if (!this.#hasWebhooks) return;
    for (const id of accountIds) this.#changed.add(id);
    this.#wakeUp?.();
  }

  /** Reports that webhooks changed. All cursors are looked at. */
  noteWebhooks(): void {
    this.#isSweepDue = true;
    this.#sweptTo = undefined;
    this.#wakeUp?.();
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stopping.signal.aborted) {
      try {
        if (this.#changed.size > 0) await this.#readChanged();
        if (this.#isSweepDue && this.#behind.size < SWEPT_MAX) await this.#sweepPage();
        if (this.#behind.size > 0) await this.#followNext();
        else await this.#untilWoken();
        failures = 0;
      } catch (error) {
        failures += 1;
        // The next sweep finds what this run did not.
        this.noteWebhooks();
        // An outage of the database has a log line of its own.
        if (failures === 1 && !isOutage(error)) {
          this.ports.logger.warn({ err: error }, 'Deliveries of webhooks not added; retrying');
        }
        await this.#pause(backoffMs(failures, BACKOFF));
      }
    }
  }

  /** Finds the cursors of the accounts that changed. */
  async #readChanged(): Promise<void> {
    const accountIds = [...this.#changed].slice(0, ACCOUNTS_MAX);
    for (const id of accountIds) this.#changed.delete(id);
    const ofAccounts = `account.id in (${accountIds.map(idLiteral).join(',')})`;
    for (let after: Behind | undefined, isDone = false; !isDone; ) {
      const page = await this.#readBehind(ofAccounts, after);
      isDone = page.length < SWEPT_MAX;
      after = page.at(-1);
    }
  }

  /** Finds some of all cursors that are behind. Commits of this server do not postpone the next sweep. */
  async #sweepPage(): Promise<void> {
    const startedAtMs = performance.now();
    if (this.#sweptTo === undefined) {
      this.#sweepMs = 0;
      const [found] = await this.ports.database.orm.em
        .fork()
        .execute<object[]>(`select 1 from webhook where status = 'ENABLED' limit 1`);
      this.#hasWebhooks = found !== undefined;
    }
    const page = this.#hasWebhooks ? await this.#readBehind('1 = 1', this.#sweptTo) : [];
    this.#isSweepDue = page.length === SWEPT_MAX;
    this.#sweptTo = this.#isSweepDue ? page.at(-1) : undefined;
    this.#sweepMs += performance.now() - startedAtMs;
    if (!this.#isSweepDue) this.#scheduleSweep();
  }

  #scheduleSweep(): void {
    clearTimeout(this.#sweepTimer);
    const restMs = Math.max(SWEEP_MS, this.#sweepMs * SWEEP_DURATIONS);
    const delayMs = Math.min(restMs, SWEEP_MAX_MS);
    this.#sweepTimer = setTimeout(() => {
      this.#isSweepDue = true;
      this.#wakeUp?.();
    }, delayMs);
  }

  /** Makes deliveries of the cursor whose turn it is, in one transaction. */
  async #followNext(): Promise<void> {
    const [first] = this.#behind;
    if (!first) return;
    const [key, cursor] = first;
    this.#behind.delete(key);
    const next = await this.#readNext(cursor);
    if (!next) return;
    const outcome = await this.#add(cursor, next);
    if (outcome === 'CONTENDED') this.#behind.set(key, cursor);
    // If another server has moved the cursor, it continues from there.
    if (outcome !== 'ADDED') return;
    if (next.events.length > 0) this.ports.onDeliveries(cursor);
    if (next.hasMore) this.#behind.set(key, { ...cursor, position: next.end });
  }

  /** Reads a page of the cursors that are behind their accounts, in the order of webhook and account. */
  async #readBehind(condition: string, after: Behind | undefined): Promise<Behind[]> {
    const webhookId = idLiteral(after?.webhookId ?? NO_ID);
    const accountId = idLiteral(after?.accountId ?? NO_ID);
    const rows = await this.ports.database.orm.em.fork().execute<BehindRow[]>(
      `select hex(webhook.id) as webhook, hex(webhook.organization_id) as organization,
        hex(account.id) as account, webhook.events, webhook.ordered, known.position
      from webhook join account on account.organization_id = webhook.organization_id
      left join webhook_cursor known
        on known.webhook_id = webhook.id and known.account_id = account.id
      where webhook.status = 'ENABLED' and ${condition}
        and (webhook.account_ibans is null or known.account_id is not null)
        and (account.sequence + 1) * ${firstPositionOf(1n)} > coalesce(known.position, ${firstPositionOf(1n)})
        and webhook.id >= ${webhookId} and (webhook.id > ${webhookId} or account.id > ${accountId})
      order by webhook.id, account.id limit ${SWEPT_MAX}`,
    );
    const page = rows.map((row) => ({
      webhookId: idOfHex(row.webhook),
      organizationId: idOfHex(row.organization),
      accountId: idOfHex(row.account),
      events: new Set(LEDGER_EVENT_KINDS.filter((kind) => row.events.split(',').includes(kind))),
      ordered: Number(row.ordered) === 1,
      position: row.position === null ? undefined : BigInt(row.position),
    }));
    for (const cursor of page) this.#behind.set(cursor.webhookId + cursor.accountId, cursor);
    return page;
  }

  /** @returns undefined if the account has no more ledger entries */
  async #readNext({ accountId, events, position }: Behind): Promise<NextEvents | undefined> {
    const start = position ?? firstPositionOf(1n);
    const first = sequenceOf(start);
    const sequences = Array.from({ length: ENTRIES_MAX }, (_, offset) => first + BigInt(offset));
    const entries = await this.ports.reader.entriesAt(accountId, sequences);
    if (entries.length === 0) return undefined;
    const next: NextEvent[] = [];
    let end = start;
    // The last entry that was read may not be the last one of the account.
    let hasMore = entries.length === ENTRIES_MAX;
    for (const entry of entries) {
      const room = DELIVERIES_MAX - next.length;
      hasMore ||= room <= 0;
      if (room <= 0) break;
      const isBegun = end > firstPositionOf(entry.sequence);
      if (!isBegun) next.push(...entryEvents(entry, events));
      const rows = await this.#rowEvents(entry, events, { from: isBegun ? end : undefined, room });
      next.push(...rows);
      const last = rows.length === room ? rows.at(-1) : undefined;
      end = last ? last.position + 1n : firstPositionOf(entry.sequence + 1n);
      hasMore ||= last !== undefined;
    }
    return { events: next, end, hasMore };
  }

  /** Returns the events of the transfers of an entry, from a position on. */
  async #rowEvents(
    { accountId, sequence, kind, createdAt }: LedgerEntry,
    events: ReadonlySet<LedgerEventKind>,
    { from = firstPositionOf(sequence), room }: { from: bigint | undefined; room: number },
  ): Promise<NextEvent[]> {
    const { reader, database } = this.ports;
    if (kind === 'BULK_TRANSFER' && events.has('transfer.performed')) {
      const [bulk] = await reader.bulkTransfersAt(accountId, [sequence]);
      const left = (bulk?.transferCount ?? 0) - indexOf(from);
      return Array.from({ length: Math.min(left, room) }, (_, offset) => {
        const position = from + BigInt(offset);
        const eventId = positionId('transfer', { accountId, position, createdAt });
        return { kind: 'transfer.performed', eventId, position };
      });
    }
    if (kind !== 'BOOK_TRANSFER' || !events.has('transfer.received')) return [];
    const position = { $gte: from, $lt: firstPositionOf(sequence + 1n) };
    const oldestFirst = { orderBy: { position: 'asc' }, limit: room } as const;
    const em = database.orm.em.fork();
    const received = await em.find(IncomingTransfer, { accountId, position }, oldestFirst);
    return received.map((transfer) => ({
      kind: 'transfer.received',
      eventId: transfer.id,
      position: transfer.position,
    }));
  }

  /** Adds deliveries. Nothing is added if another server has moved the cursor, or holds its rows at this moment. */
  async #add(
    cursor: Behind,
    { events, end }: NextEvents,
  ): Promise<'ADDED' | 'MOVED' | 'CONTENDED'> {
    const { database, clock } = this.ports;
    try {
      return await inTransaction(database.orm.em.fork(), async (em) => {
        const { webhookId, ordered, position } = cursor;
        if (ordered || position === undefined) await lockWebhooks(em, [webhookId]);
        if (!(await moveCursor(em, cursor, end))) return 'MOVED';
        if (events.length === 0) return 'ADDED';
        const isIdle = cursor.ordered && (await firstPendingOf(em, cursor)) === undefined;
        const createdAt = clock();
        await database.appendRows(em, [this.#table(this.#deliveriesOf(cursor, events, createdAt))]);
        if (isIdle) await startNext(em, cursor, createdAt);
        return 'ADDED';
      });
    } catch (error) {
      // Another server has inserted the cursor.
      if (error instanceof UniqueConstraintViolationException) return 'MOVED';
      if (database.isContention(error)) return 'CONTENDED';
      throw error;
    }
  }

  #deliveriesOf(
    { webhookId, accountId, ordered }: Behind,
    events: readonly NextEvent[],
    createdAt: Date,
  ): WebhookDelivery[] {
    const dueAt = ordered ? null : createdAt;
    return events.map((event) =>
      WebhookDelivery.of({
        id: this.ports.newId(),
        webhookId,
        dueAt,
        createdAt,
        event: { accountId, ...event },
      }),
    );
  }

  /** Waits for new ledger entries, which then gather for a moment, or for the next sweep. */
  async #untilWoken(): Promise<void> {
    if (this.#changed.size > 0 || this.#isSweepDue || this.#stopping.signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#wakeUp = resolve;
    });
    this.#wakeUp = undefined;
    await this.#pause(GATHER_MS);
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

/** Returns the event of an entry itself, if it is chosen. */
function entryEvents(entry: LedgerEntry, chosen: ReadonlySet<LedgerEventKind>): NextEvent[] {
  const isDebit = entry.kind === 'BULK_TRANSFER';
  const kind = isDebit ? 'bulk-transfer.performed' : 'account.credited';
  if (!chosen.has(kind)) return [];
  const eventId = isDebit ? bulkTransferIdOf(entry) : entry.id;
  return [{ kind, eventId, position: firstPositionOf(entry.sequence) }];
}

/** The SQL condition that a webhook is called, and for an account without a cursor, that it is called for all. */
const isCalled = (webhookId: string, more = '') =>
  `exists (select 1 from webhook where id = ${idLiteral(webhookId)} and status = 'ENABLED' ${more})`;

/** @returns false if the cursor is not where it was read, or its webhook is no longer called for the account */
async function moveCursor(
  em: EntityManager,
  { webhookId, accountId, position }: Behind,
  end: bigint,
): Promise<boolean> {
  if (position === undefined) {
    const isOfAll = isCalled(webhookId, 'and account_ibans is null');
    const [row] = await em.execute<{ is_of_all: number }[]>(`select ${isOfAll} as is_of_all`);
    if (Number(row?.is_of_all) !== 1) return false;
    await em.insert(WebhookCursor, { webhookId, accountId, position: end });
    return true;
  }
  const moved = { webhookId, accountId, position, [raw(isCalled(webhookId))]: [] };
  return (await em.nativeUpdate(WebhookCursor, moved, { position: end })) === 1;
}
