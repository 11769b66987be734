/**
 * Performs submitted orders. All servers share the work: each claims one order at a time with a lease, which it renews
 * while it works. If a server dies, another one takes the order after the lease has ended, and finds the bulks that were
 * performed by their keys. It also lets orders expire, and deletes the rows of orders that ended long ago.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../application/ports/clock.js';
import type {
  OrderProgress,
  OrderStore,
  PerformOrder,
} from '../../application/ports/order-store.js';
import { PROGRAM } from '../../domain/caller.js';
import { AbandonedError, UnavailableError } from '../../domain/errors.js';
import { isFinal } from '../../domain/order.js';
import type { BulkTransferOrder } from '../../entities/bulk-transfer-order.entity.js';
import type { Presence } from '../database/presence.js';
import { isOutage } from '../database/unavailability.js';
import type { Logger } from '../observability/logger.js';

/** The length of a lease, which is renewed while its order is performed. */
const LEASE_MS = 30_000;
const RENEWAL_MS = 5_000;

/**
 * The time after which a server begins no bulk of an order whose lease it could not renew. The clocks of two servers may
 * differ by the rest of the lease.
 */
const TRUSTED_MS = 15_000;

/**
 * The interval between looks for servers that ended. A server counts as ended when it is absent at two looks, so that it
 * has this time to connect again.
 */
const ABSENCE_CHECK_MS = 700;

/** The interval between looks for orders that other servers left. */
const POLL_MS = 1_000;

/** The time until an order is tried again: if its account was busy, and after an unexpected error. */
const BUSY_MS = 1_000;
const FAILED_MS = 30_000;

/** The interval between looks for orders that are due to expire, or whose rows are due to be deleted. */
const DUE_CHECK_MS = 60_000;

/** The longest time that a stop waits for an order that is being performed. */
const STOP_MAX_MS = 12_000;

export interface OrderWorkerPorts {
  readonly orders: OrderStore;
  readonly presence: Presence;
  readonly performOrder: PerformOrder;
  readonly clock: Clock;
  /** The id of this server among the holders of leases. */
  readonly holder: string;
  readonly logger: Logger;
  /** The time for which the rows of an order are kept after its end. */
  readonly retentionMs: number;
  /** Called with each progress of an order that this server performs; undefined when it no longer does. */
  readonly onProgress: (id: string, progress: OrderProgress | undefined) => void;
}

export class OrderWorker {
  readonly #stopping = new AbortController();
  #wakeUp: (() => void) | undefined;
  #isAwake = false;
  #dueWanted = Promise.withResolvers<void>();
  #running: Promise<unknown> = Promise.resolve();

  constructor(private readonly ports: OrderWorkerPorts) {}

  get #holder(): string {
    return this.ports.holder;
  }

  async start(): Promise<void> {
    // Other servers would treat one with a lease but no presence as ended.
    await this.ports.presence.announce(this.#holder);
    this.#running = Promise.all([this.#performAll(), this.#releaseOfEnded(), this.#endDue()]);
  }

  /** Looks for submitted orders at once. */
  wake(): void {
    this.#isAwake = true;
    this.#wakeUp?.();
  }

  /** Looks for due orders at once. */
  endDueSoon(): void {
    this.#dueWanted.resolve();
  }

  /** Lets the order in progress end. What is left is performed by another server. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await Promise.race([this.#running, sleep(STOP_MAX_MS, undefined, { ref: false })]);
  }

  async #performAll(): Promise<void> {
    const { orders, clock } = this.ports;
    while (!this.#stopping.signal.aborted) {
      this.#isAwake = false;
      const order = await this.#guarded(() => orders.claim(this.#lease(), clock()));
      if (order) await this.#perform(order);
      else await this.#untilWoken();
    }
  }

  #lease() {
    return {
      holder: this.#holder,
      until: new Date(this.ports.clock().getTime() + LEASE_MS),
    };
  }

  async #perform(order: BulkTransferOrder): Promise<void> {
    const { performOrder, onProgress, logger } = this.ports;
    const { id } = order;
    const keeper = this.#keepLease(id);
    try {
      const isEnded = await performOrder(order, {
        report: (progress) => {
          keeper.note(progress);
          onProgress(id, progress);
        },
        isLost: keeper.isLost,
        holder: this.#holder,
      });
      if (!isEnded) await this.#release(id, BUSY_MS);
    } catch (error) {
      const isOver =
        error instanceof UnavailableError || error instanceof AbandonedError || isOutage(error);
      if (!isOver) logger.error({ err: error, orderId: id }, 'Order not performed; retrying');
      await this.#release(id, isOver ? BUSY_MS : FAILED_MS);
    } finally {
      keeper.stop();
      onProgress(id, undefined);
    }
  }

  /** Renews the lease of an order at intervals, and stores its progress with it. */
  #keepLease(id: string) {
    const { orders } = this.ports;
    let latest: OrderProgress | undefined;
    let renewedAt = performance.now();
    let isTaken = false;
    const renew = async () => {
      if (!latest) return;
      const startedAt = performance.now();
      const isRenewed = await orders.noteProgress(id, this.#lease(), latest).catch(() => undefined);
      if (isRenewed) renewedAt = startedAt;
      else if (isRenewed === false) isTaken = true;
    };
    const timer = setInterval(() => void renew(), RENEWAL_MS);
    timer.unref();
    return {
      note: (progress: OrderProgress) => {
        const isNewPart = latest?.performedBulks !== progress.performedBulks;
        latest = progress;
        if (isNewPart) void renew();
      },
      isLost: () => isTaken || performance.now() - renewedAt > TRUSTED_MS,
      stop: () => clearInterval(timer),
    };
  }

  /** Ends the leases of servers that ended. */
  async #releaseOfEnded(): Promise<void> {
    const { orders, presence, logger } = this.ports;
    let absentBefore: readonly string[] = [];
    while (!this.#stopping.signal.aborted) {
      const absent = await this.#guarded(async () =>
        presence.endedAmong(await orders.leaseHolders()),
      );
      const ended = (absent ?? []).filter((holder) => absentBefore.includes(holder));
      for (const holder of ended) {
        const released = await this.#guarded(() => orders.releaseOf(holder));
        if (!released) continue;
        logger.warn({ orders: released }, 'Orders of a stopped server released');
        this.wake();
        this.endDueSoon();
      }
      absentBefore = absent ?? [];
      await pause(ABSENCE_CHECK_MS, this.#stopping.signal);
    }
  }

  async #release(id: string, afterMs: number): Promise<void> {
    const { orders, clock } = this.ports;
    const from = new Date(clock().getTime() + afterMs);
    // The lease ends by itself if the database is away.
    await orders.release(id, this.#holder, from).catch(() => {});
  }

  /** Ends what is due: drafts expire, and the rows of orders that ended or were never complete are deleted. */
  async #endDue(): Promise<void> {
    const { orders, clock } = this.ports;
    while (!this.#stopping.signal.aborted) {
      this.#dueWanted = Promise.withResolvers();
      const due = await this.#guarded(() => orders.due(clock()));
      for (const order of due ?? []) {
        const isOver = isFinal(order.status) || order.isBeingRead;
        await this.#guarded(() => (isOver ? this.#prune(order.id) : this.#expire(order.id)));
      }
      await Promise.race([pause(DUE_CHECK_MS, this.#stopping.signal), this.#dueWanted.promise]);
    }
  }

  async #prune(id: string): Promise<void> {
    const { orders, clock } = this.ports;
    while (!this.#stopping.signal.aborted && (await orders.pruneRows(id, clock())));
  }

  async #expire(id: string): Promise<void> {
    const { orders, clock, retentionMs } = this.ports;
    const now = clock();
    await orders.change(id, 'all', {
      action: 'expireOrder',
      source: PROGRAM,
      // It may have been changed meanwhile.
      isWanted: ({ expiresAt, status }) =>
        expiresAt !== null && expiresAt <= now && !isFinal(status),
      apply: (order) => order.expire(now, retentionMs),
    });
  }

  async #untilWoken(): Promise<void> {
    if (this.#isAwake || this.#stopping.signal.aborted) return;
    await Promise.race([
      pause(POLL_MS, this.#stopping.signal),
      new Promise<void>((resolve) => {
        this.#wakeUp = resolve;
      }),
    ]);
    this.#wakeUp = undefined;
  }

  /** Runs a step on the database, and survives its errors. */
  async #guarded<Result>(step: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof UnavailableError) && !isOutage(error)) {
        this.ports.logger.error({ err: error }, 'Orders not read; retrying');
      }
      await pause(POLL_MS, this.#stopping.signal);
      return undefined;
    }
  }
}

/** Waits for a time, or until the signal is aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
