/**
 * Publishes the outbox: claim, publish, mark. Every committed message is published at least once:
 * a relay that dies between publishing and marking leaves a message that another relay publishes again, and its
 * events have the same ids as before.
 *
 * What this process commits it need not claim: it is leased to the relay by the commit itself, and
 * handed over after it. Claiming is for what is left: where the broker was away, too much was under way,
 * it is unknown whether a commit was done, or another relay died. This process wakes its relay for what it
 * leaves or gives back; what others left is found by a poll. As long as something of its own is left,
 * what comes after it is claimed as well, so as not to overtake it. Between servers there is no such order,
 * nor after a failure to publish. Where the commit of a claim failed, the relay gives back what it may have taken.
 *
 * Messages of one account go out in order: all that wait while some are published are the next to be.
 * Accounts do not wait for each other, so that a large bulk holds up its own account alone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../application/ports/clock.js';
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import { makeNewId } from '../../domain/id.js';
import { backoffMs } from '../backoff.js';
import type { Broker } from '../broker/broker.js';
import type { Presence } from '../database/presence.js';
import { isOutage } from '../database/unavailability.js';
import { GROUP_MEMBERS_MAX } from '../ledger/waiting-line.js';
import type { Logger } from '../observability/logger.js';
import type { EventMessage } from './events.js';
import {
  ClaimInDoubt,
  type Lease,
  type LeasedMessage,
  type Outbox,
  type Publisher,
  type Reservation,
} from './outbox.js';
import { eventsOf, headsOf } from './outbox-events.js';

/** Messages that are ours and not done with: full groups of units of work find room while others are published. */
const UNDER_WAY_MAX = 4 * GROUP_MEMBERS_MAX;

/** Messages of one claim, which is made where there is room for all of them. */
const CLAIM_MAX = 200;

/**
 * The time of a lease, which is renewed while its message is under way. A relay that stands still for less loses
 * nothing. A relay that ended is noticed sooner, by its presence.
 */
const LEASE_MS = 60_000;
const LEASE_RENEWAL_MS = 5_000;

/**
 * The interval between looks for relays that ended. A relay counts as ended when it is absent at two looks, so one
 * whose connection to the database broke has time to connect again.
 */
const ABSENCE_LOOK_MS = 700;

/** A lease ends in the second that is due, at a millisecond that no other lease of the last thousand ends at. */
const LEASE_GRID_MS = 1_000;

/** How long the accounts of a commit in doubt wait for its messages to be given back. */
const DOUBT_MAX_MS = 1_000;

/** Between claims at least: what is committed meanwhile goes out together. */
const CLAIM_PAUSE_MS = 5;

/** Between looks at an outbox that nobody woke us for. */
const POLL_MS = 1_000;

/** How long a stop waits for a broker that says nothing. */
const STOP_MAX_MS = 5_000;

/** Between looks for published messages that are old enough to go. */
const PRUNE_MS = 60_000;

/** After so many failures a message is parked. */
const ATTEMPTS_MAX = 20;

const BACKOFF = { firstMs: 500, maxMs: 60_000 };

export interface RelayPorts {
  readonly outbox: Outbox;
  readonly presence: Presence;
  readonly reader: LedgerReader;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long published messages are kept. */
  readonly retentionMs: number;
}

export class Relay implements Publisher {
  /** Tells this relay's leases from those of others. */
  readonly #id: string;
  readonly #stopping = new AbortController();
  readonly #underWay = new Set<LeasedMessage>();
  #leaseCount = 0;
  /** Messages of commits that are about to be, and of a claim. */
  #reserved = 0;
  /** Whether all that this process left in the outbox has been claimed. */
  #isCaughtUp = false;
  /** Whether it left something since the last claim began. */
  #hasLeft = false;
  /** By account that has something under way: what waits for it. */
  readonly #waiting = new Map<string, LeasedMessage[]>();
  /** By account: done when all that it has under way is. */
  readonly #publishing = new Map<string, Promise<void>>();
  #isAwake = false;
  #wakeUp: (() => void) | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(private readonly ports: RelayPorts) {
    this.#id = makeNewId(ports.clock)();
  }

  async start(): Promise<void> {
    // Other relays would take a relay that has a lease and no presence for one that ended.
    await this.ports.presence.announce(this.#id);
    this.ports.broker.onReady(() => this.wake());
    this.#running = Promise.all([
      this.#relay(),
      this.#renewLeases(),
      this.#releaseLeasesOfEnded(),
      this.#prune(),
    ]);
  }

  /** There may be something to claim that what comes after it must not overtake. */
  wake(): void {
    this.#isCaughtUp = false;
    this.#hasLeft = true;
    this.#lookAgain();
  }

  #lookAgain(): void {
    this.#isAwake = true;
    this.#wakeUp?.();
  }

  reserve(messageCount: number): Reservation {
    const isOpen = this.ports.broker.isReady && !this.#stopping.signal.aborted;
    const isTaken = isOpen && this.#isCaughtUp && messageCount <= this.#room;
    if (!isTaken) {
      const wake = () => this.wake();
      return { lease: undefined, take: wake, cancel: () => {}, doubt: async () => wake() };
    }
    const lease = this.#newLease();
    this.#reserved += messageCount;
    const cancel = () => {
      this.#reserved -= messageCount;
      this.#tellOfRoom(messageCount);
    };
    return {
      lease,
      take: (messages) => {
        this.#reserved -= messageCount;
        this.#enqueue(messages.map(({ message, heads }) => ({ ...message, heads })));
      },
      cancel,
      doubt: async (messages) => {
        cancel();
        await this.#giveBack(
          messages.map(({ message }) => message.id),
          lease,
        );
      },
    };
  }

  /** For messages that may come to be ours. */
  get #room(): number {
    return UNDER_WAY_MAX - this.#underWay.size - this.#reserved;
  }

  /** There is room for so many more: where something is left, the relay waits for as much as one claim takes. */
  #tellOfRoom(messageCount: number): void {
    const room = this.#room;
    if (this.#isCaughtUp) return;
    if (room >= CLAIM_MAX && room - messageCount < CLAIM_MAX) this.#lookAgain();
  }

  /**
   * Makes messages due that may be leased to this relay. It is awaited before anything else of their accounts is
   * committed or claimed, so that they are not overtaken, for a second at most.
   */
  async #giveBack(ids: readonly string[], lease: Lease): Promise<void> {
    const released = this.#endLease(lease, ids).then(() => this.wake());
    await Promise.race([released, pause(DOUBT_MAX_MS, this.#stopping.signal)]);
  }

  /** Tries again until it has done it or the lease has ended: a database in doubt is often one that is away. */
  async #endLease(lease: Lease, ids: readonly string[]): Promise<void> {
    const { outbox, clock } = this.ports;
    let isDone: boolean | undefined;
    while (!isDone && clock() < lease.end && !this.#stopping.signal.aborted) {
      isDone = await this.#guarded(() => outbox.endLease(ids, lease).then(() => true));
    }
  }

  #newLease(): Lease {
    this.#leaseCount = (this.#leaseCount + 1) % LEASE_GRID_MS;
    const end = this.ports.clock().getTime() + LEASE_MS;
    const second = Math.ceil(end / LEASE_GRID_MS) * LEASE_GRID_MS;
    return { holder: this.#id, end: new Date(second + this.#leaseCount) };
  }

  /** Tells whether the relay claimed all that was due at its last look. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** Stops between two events; another relay publishes again what was not marked. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await Promise.race([this.#running, sleep(STOP_MAX_MS, undefined, { ref: false })]);
  }

  async #relay(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#isAwake = false;
      this.#hasLeft = false;
      // Where there is no room, or no broker, whoever makes it or brings it wakes us.
      const isPossible = this.ports.broker.isReady && this.#room >= CLAIM_MAX;
      const claimedCount = isPossible ? await this.#claim() : 0;
      // A full claim may have left some behind.
      const isAll = claimedCount < CLAIM_MAX;
      if (isPossible) this.#isCaughtUp = isAll && !this.#hasLeft;
      if (isAll) await this.#untilWoken();
      await pause(CLAIM_PAUSE_MS, this.#stopping.signal);
    }
    await Promise.all(this.#publishing.values());
  }

  /** @returns how many it claimed, which are under way */
  async #claim(): Promise<number> {
    this.#reserved += CLAIM_MAX;
    const claimed = await this.#guarded(() => this.#claimOrGiveBack());
    this.#reserved -= CLAIM_MAX;
    if (!claimed) this.#hasLeft = true;
    this.#enqueue(claimed ?? []);
    return claimed?.length ?? 0;
  }

  async #claimOrGiveBack(): Promise<LeasedMessage[]> {
    const { outbox, clock } = this.ports;
    const lease = this.#newLease();
    try {
      return await outbox.claim(clock(), CLAIM_MAX, lease);
    } catch (error) {
      if (error instanceof ClaimInDoubt) await this.#giveBack(error.ids, lease);
      throw error;
    }
  }

  /** Has messages published, those of each account after those that it has under way. */
  #enqueue(messages: readonly LeasedMessage[]): void {
    const idle = new Set<string>();
    for (const message of messages) {
      const { accountId } = message;
      this.#underWay.add(message);
      const waiting = this.#waiting.get(accountId);
      if (waiting) {
        waiting.push(message);
      } else {
        this.#waiting.set(accountId, [message]);
        idle.add(accountId);
      }
    }
    for (const accountId of idle) this.#publishing.set(accountId, this.#publishAll(accountId));
  }

  /** Publishes what waits of an account, until nothing does. */
  async #publishAll(accountId: string): Promise<void> {
    const waiting = this.#waiting.get(accountId) ?? [];
    while (waiting.length > 0) {
      const group = waiting.splice(0, togetherIn(waiting));
      await this.#publish(group);
      for (const message of group) this.#underWay.delete(message);
      this.#tellOfRoom(group.length);
    }
    this.#waiting.delete(accountId);
    this.#publishing.delete(accountId);
  }

  /** Marks the whole group, once all of its events are with the broker, or none of it. */
  async #publish(group: readonly LeasedMessage[]): Promise<void> {
    const { reader, broker, outbox } = this.ports;
    try {
      await broker.publish({
        events: () => this.#untilStopped(eventsOf(group, reader)),
        heads: () => headsOf(group, reader),
      });
    } catch (error) {
      await this.#guarded(() => this.#takeBack(group, error));
      return;
    }
    const ids = group.map(({ id }) => id);
    await this.#guarded(() => outbox.markPublished(ids));
  }

  /** A broker that went away, or a stop, is no failure of the messages: only others count. */
  async #takeBack(group: readonly LeasedMessage[], error: unknown): Promise<void> {
    const { outbox, broker } = this.ports;
    if (broker.isReady && !this.#stopping.signal.aborted) {
      for (const message of group) await this.#postpone(message, error);
      return;
    }
    await outbox.release(
      group.map(({ id }) => id),
      this.#id,
    );
    this.wake();
  }

  async #postpone(message: LeasedMessage, cause: unknown): Promise<void> {
    const { outbox, clock, logger } = this.ports;
    const { id, type } = message;
    const error = cause instanceof Error ? cause.message : String(cause);
    const failure = { attempts: message.attempts + 1, holder: this.#id, error };
    const { attempts } = failure;
    if (attempts >= ATTEMPTS_MAX) {
      logger.error({ outboxMessageId: id, type, attempts, reason: error }, 'Outbox message parked');
      return outbox.park(id, { ...failure, at: clock() });
    }
    logger.warn(
      { outboxMessageId: id, type, attempts, reason: error },
      'Not published; trying again',
    );
    const dueAt = new Date(clock().getTime() + backoffMs(attempts, BACKOFF));
    return outbox.postpone(id, { ...failure, dueAt });
  }

  async *#untilStopped(events: AsyncIterable<EventMessage>): AsyncIterable<EventMessage> {
    for await (const event of events) {
      this.#stopping.signal.throwIfAborted();
      yield event;
    }
  }

  async #untilWoken(): Promise<void> {
    if (this.#isAwake || this.#stopping.signal.aborted) return;
    const poll = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wakeUp = resolve;
    });
    await Promise.race([woken, pause(POLL_MS, poll.signal)]);
    this.#wakeUp = undefined;
    poll.abort();
  }

  /** Whatever is under way stays ours, however long its broker or those before it take. */
  async #renewLeases(): Promise<void> {
    const { outbox } = this.ports;
    while (!this.#stopping.signal.aborted) {
      await pause(LEASE_RENEWAL_MS, this.#stopping.signal);
      // What is under way while it stops is given back.
      if (this.#stopping.signal.aborted) return;
      const ids = [...this.#underWay].map(({ id }) => id);
      if (ids.length === 0) continue;
      await this.#guarded(() => outbox.extendLease(ids, this.#newLease()));
    }
  }

  /** Has the messages of relays that ended claimed, without waiting for their leases. */
  async #releaseLeasesOfEnded(): Promise<void> {
    const { outbox, presence, logger } = this.ports;
    let absentBefore: readonly string[] = [];
    while (!this.#stopping.signal.aborted) {
      const absent = await this.#guarded(async () => {
        const others = (await outbox.holders()).filter((holder) => holder !== this.#id);
        return presence.endedAmong(others);
      });
      for (const holder of absent ?? []) {
        if (!absentBefore.includes(holder)) continue;
        const released = await this.#guarded(() => outbox.releaseFrom(holder));
        if (!released) continue;
        logger.warn({ messages: released }, 'Leases of a relay that ended released');
        this.wake();
      }
      absentBefore = absent ?? [];
      await pause(ABSENCE_LOOK_MS, this.#stopping.signal);
    }
  }

  async #prune(): Promise<void> {
    const { outbox, clock, retentionMs } = this.ports;
    while (!this.#stopping.signal.aborted) {
      const before = new Date(clock().getTime() - retentionMs);
      const pruned = await this.#guarded(() => outbox.prune(before));
      if (!pruned) await pause(PRUNE_MS, this.#stopping.signal);
    }
  }

  /** A database that does not answer is tried again at the next turn: a relay never dies of it. */
  async #guarded<Result>(step: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await step();
    } catch (error) {
      if (!isOutage(error)) {
        this.ports.logger.error({ err: error }, 'The outbox could not be read or written');
      }
      await pause(POLL_MS, this.#stopping.signal);
      return undefined;
    }
  }
}

/** Waits, or until aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

/**
 * How many of the first messages of an account are published together, without a wait between them: all
 * but those that failed before, of which each goes alone, so that it takes no other down with it.
 */
function togetherIn(messages: readonly LeasedMessage[]): number {
  const failed = messages.findIndex(({ attempts }) => attempts > 0);
  return failed === -1 ? messages.length : Math.max(failed, 1);
}
