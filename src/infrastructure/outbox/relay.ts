/**
 * Publishes the outbox: claim, publish, mark. Every committed message is published at least once. If a relay dies
 * between publishing and marking, another relay publishes the message again, and its events have the same ids as
 * before.
 *
 * A commit of this process leases its messages to the relay and hands them over, so they need no claim. Claims are
 * for the backlog. A backlog exists if the broker was disconnected, too many messages were being published, the
 * outcome of a commit was unknown, or another relay died. This process wakes its relay for messages that it leaves or
 * gives back. A poll finds the messages that others left. While this process has a backlog, later messages are
 * claimed too, so they do not overtake the backlog. There is no such order between servers, nor after a failure to
 * publish. If the commit of a claim failed, the relay gives back the messages that it may have claimed.
 *
 * The messages of one moment are marked together, because each mark is a commit. Publishing does not wait for marks. If
 * the database is unreachable, the relay keeps the messages leased and marks them later.
 *
 * The relay reports which accounts changed: of a commit of this process when it takes the messages, and of the backlog
 * when it publishes. The broker reports the changes that other instances publish.
 *
 * Messages about one subject, such as an account, are published in order. All messages that wait during one publication
 * are published next. Subjects do not wait for each other, so a large bulk delays its own account alone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AccountHead } from '../../application/ports/account-head.js';
import type { Clock } from '../../application/ports/clock.js';
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import { makeNewId } from '../../domain/id.js';
import { backoffMs } from '../backoff.js';
import type { Broker } from '../broker/broker.js';
import type { Presence } from '../database/presence.js';
import { isOutage } from '../database/unavailability.js';
import { GROUP_MEMBERS_MAX } from '../ledger/waiting-line.js';
import type { Logger } from '../observability/logger.js';
import { contextOf, inSpan, isTracing, linksTo, SpanKind } from '../observability/tracing.js';
import { eventsOf, headsOf } from './event-sources.js';
import type { EventMessage } from './events.js';
import {
  ClaimInDoubt,
  type CommittedMessage,
  type Lease,
  type LeasedMessage,
  lastHeads,
  type Outbox,
  type Publisher,
  type Reservation,
} from './outbox.js';

/**
 * The largest number of messages that this relay leases and has not finished. Full groups of units of work find room
 * while others are published.
 */
const UNDER_WAY_MAX = 4 * GROUP_MEMBERS_MAX;

/** The largest number of messages of one claim. A claim is made only if there is room for all of them. */
const CLAIM_MAX = 200;

/**
 * The length of a lease, which is renewed while its message is being published. A relay that stands still for a
 * shorter time loses nothing. A relay that ended is noticed sooner, by its presence.
 */
const LEASE_MS = 60_000;
const LEASE_RENEWAL_MS = 5_000;

/**
 * The interval between checks for relays that ended. A relay counts as ended when it is absent at two checks. A relay
 * whose database connection broke has this time to reconnect.
 */
const ABSENCE_CHECK_MS = 700;

/**
 * The grid of lease ends. A lease ends in the second that is due, at a millisecond at which no other lease of the
 * last thousand ends.
 */
const LEASE_GRID_MS = 1_000;

/** The longest time that the accounts of a commit in doubt wait until its messages are given back. */
const DOUBT_MAX_MS = 1_000;

/** The time for which published messages gather until they are marked by one commit. */
const MARK_PAUSE_MS = 20;

/** The largest number of messages that one statement marks. */
const MARK_MAX = 500;

/** The shortest pause between claims. Messages that are committed meanwhile are published together. */
const CLAIM_PAUSE_MS = 5;

/** The interval between polls of the outbox without a wake-up. */
const POLL_MS = 1_000;

/** The longest time that a stop waits for a broker that does not answer. */
const STOP_MAX_MS = 5_000;

/** The interval between checks for published messages that are old enough to delete. */
const PRUNE_MS = 60_000;

/** The number of failures after which a message is parked. */
const ATTEMPTS_MAX = 20;

const BACKOFF = { firstMs: 500, maxMs: 60_000 };

export interface RelayPorts {
  readonly outbox: Outbox;
  readonly presence: Presence;
  readonly reader: LedgerReader;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Receives the accounts that have new entries. It never throws. */
  readonly onChange: (heads: readonly AccountHead[]) => void;
  /** The time for which published messages are kept. */
  readonly retentionMs: number;
}

/** A message that the broker has confirmed, and the time of the confirm. */
interface PublishedMessage {
  readonly message: LeasedMessage;
  readonly at: Date;
}

export class Relay implements Publisher {
  /** Identifies this relay's leases. */
  readonly #id: string;
  readonly #stopping = new AbortController();
  readonly #underWay = new Set<LeasedMessage>();
  #leaseCount = 0;
  #publishedCount = 0;
  #failedCount = 0;
  /** The number of messages of pending commits and of a pending claim. */
  #reserved = 0;
  /** Tells whether all messages that this process left in the outbox have been claimed. */
  #isCaughtUp = false;
  /** Tells whether this process left messages since the last claim began. */
  #hasNewBacklog = false;
  /** The waiting messages of each subject with a publication in progress. */
  readonly #waiting = new Map<string, LeasedMessage[]>();
  /** The publication in progress of each subject. It resolves when all messages of the subject are done. */
  readonly #publishing = new Map<string, Promise<void>>();
  /** The messages that the broker has confirmed and that are not marked yet. */
  readonly #published: PublishedMessage[] = [];
  /** The marking in progress. It resolves when all published messages are marked. */
  #marking: Promise<void> | undefined;
  #isAwake = false;
  #wakeUp: (() => void) | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(private readonly ports: RelayPorts) {
    this.#id = makeNewId(ports.clock)();
  }

  async start(): Promise<void> {
    // Other relays would treat a relay with a lease but no presence as ended.
    await this.ports.presence.announce(this.#id);
    this.ports.broker.onReady(() => this.wake());
    this.#running = Promise.all([
      this.#relay(),
      this.#renewLeases(),
      this.#releaseLeasesOfEnded(),
      this.#prune(),
    ]);
  }

  /** Wakes the relay. The outbox may contain messages that later messages must not overtake. */
  wake(): void {
    this.#isCaughtUp = false;
    this.#hasNewBacklog = true;
    this.#claimSoon();
  }

  #claimSoon(): void {
    this.#isAwake = true;
    this.#wakeUp?.();
  }

  reserve(messageCount: number): Reservation {
    const isOpen = this.ports.broker.isReady && !this.#stopping.signal.aborted;
    const isTaken = isOpen && this.#isCaughtUp && messageCount <= this.#room;
    if (!isTaken) {
      const take = (messages: readonly CommittedMessage[]) => {
        this.#reportChanges(messages);
        this.wake();
      };
      return { lease: undefined, take, cancel: () => {}, doubt: async () => this.wake() };
    }
    const lease = this.#newLease();
    this.#reserved += messageCount;
    const cancel = () => {
      this.#reserved -= messageCount;
      this.#noteFreedRoom(messageCount);
    };
    return {
      lease,
      take: (messages) => {
        this.#reserved -= messageCount;
        this.#reportChanges(messages);
        this.#enqueue(messages.map(({ message }) => ({ ...message, isReported: true })));
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

  #reportChanges(messages: readonly CommittedMessage[]): void {
    const heads = messages.flatMap(headsWithTrace);
    // The last entry of an account stands for those before it. Each entry has a trace of its own, though.
    this.ports.onChange(isTracing() ? heads : lastHeads(heads));
  }

  /** The number of messages that this relay can still accept. */
  get #room(): number {
    return UNDER_WAY_MAX - this.#underWay.size - this.#reserved;
  }

  /**
   * Wakes the relay if the freed room makes a full claim possible. With a backlog, the relay waits until there is
   * room for a full claim.
   */
  #noteFreedRoom(messageCount: number): void {
    const room = this.#room;
    if (this.#isCaughtUp) return;
    if (room >= CLAIM_MAX && room - messageCount < CLAIM_MAX) this.#claimSoon();
  }

  /**
   * Makes messages due that may be leased to this relay. Callers wait for it before anything else of the accounts is
   * committed or claimed, so the messages are not overtaken. The wait takes a second at most.
   */
  async #giveBack(ids: readonly string[], lease: Lease): Promise<void> {
    const released = this.#endLease(lease, ids).then(() => this.wake());
    await Promise.race([released, pause(DOUBT_MAX_MS, this.#stopping.signal)]);
  }

  /**
   * Retries until the lease is ended, in the database or by time. A database with a commit in doubt is often
   * disconnected.
   */
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

  /** The publications of messages by this process, by outcome. */
  get publicationCounts(): { readonly published: number; readonly failed: number } {
    return { published: this.#publishedCount, failed: this.#failedCount };
  }

  /** Tells whether the relay claimed all that was due at its last look. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /** Stops between two events. Another relay publishes the unmarked messages again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await Promise.race([this.#running, sleep(STOP_MAX_MS, undefined, { ref: false })]);
  }

  async #relay(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#isAwake = false;
      this.#hasNewBacklog = false;
      // Without room or a connected broker there is no claim. New room or a connected broker wakes the relay.
      const isPossible = this.ports.broker.isReady && this.#room >= CLAIM_MAX;
      const claimedCount = isPossible ? await this.#claim() : 0;
      // A full claim may have left a backlog.
      const isAll = claimedCount < CLAIM_MAX;
      if (isPossible) this.#isCaughtUp = isAll && !this.#hasNewBacklog;
      if (isAll) await this.#untilWoken();
      await pause(CLAIM_PAUSE_MS, this.#stopping.signal);
    }
    await Promise.all(this.#publishing.values());
    await this.#marking;
  }

  /** @returns the number of claimed messages, whose publication has begun */
  async #claim(): Promise<number> {
    this.#reserved += CLAIM_MAX;
    const claimed = await this.#guarded(() => this.#claimOrGiveBack());
    this.#reserved -= CLAIM_MAX;
    if (!claimed) this.#hasNewBacklog = true;
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

  /** Enqueues messages, each after the messages of its subject that are in progress. */
  #enqueue(messages: readonly LeasedMessage[]): void {
    const idle = new Set<string>();
    for (const message of messages) {
      const { subjectId } = message;
      this.#underWay.add(message);
      const waiting = this.#waiting.get(subjectId);
      if (waiting) {
        waiting.push(message);
      } else {
        this.#waiting.set(subjectId, [message]);
        idle.add(subjectId);
      }
    }
    for (const subjectId of idle) this.#publishing.set(subjectId, this.#publishAll(subjectId));
  }

  /** Publishes the waiting messages of a subject until none is left. */
  async #publishAll(subjectId: string): Promise<void> {
    const waiting = this.#waiting.get(subjectId) ?? [];
    while (waiting.length > 0) {
      await this.#publish(waiting.splice(0, togetherIn(waiting)));
    }
    this.#waiting.delete(subjectId);
    this.#publishing.delete(subjectId);
  }

  /** Ends the work on messages, which frees their room. */
  #finish(messages: readonly LeasedMessage[]): void {
    for (const message of messages) this.#underWay.delete(message);
    this.#noteFreedRoom(messages.length);
  }

  /**
   * Publishes a group. The whole group is marked after the broker has all of its events; otherwise no message is
   * marked.
   */
  async #publish(group: readonly LeasedMessage[]): Promise<void> {
    const { reader, broker, clock, onChange } = this.ports;
    try {
      const unreported = group.filter(({ isReported }) => !isReported);
      if (unreported.length > 0) onChange(await headsOf(unreported, reader));
      await tracePublication(group, () =>
        broker.publish(this.#untilStopped(eventsOf(group, reader))),
      );
    } catch (error) {
      await this.#guarded(() => this.#takeBack(group, error));
      this.#finish(group);
      return;
    }
    const at = clock();
    this.#publishedCount += group.length;
    this.#published.push(...group.map((message) => ({ message, at })));
    this.#marking ??= this.#markAll();
  }

  /**
   * Marks published messages until none is left. Messages that could not be marked are marked later; after a stop,
   * another relay publishes them again.
   */
  async #markAll(): Promise<void> {
    const { outbox } = this.ports;
    while (this.#published.length > 0) {
      await pause(MARK_PAUSE_MS, this.#stopping.signal);
      const published = this.#published.slice(0, MARK_MAX);
      const last = published.at(-1);
      if (!last) break;
      const ids = published.map(({ message }) => message.id);
      const isMarked = await this.#guarded(() =>
        outbox.markPublished(ids, last.at).then(() => true),
      );
      if (isMarked || this.#stopping.signal.aborted) {
        this.#published.splice(0, published.length);
        this.#finish(published.map(({ message }) => message));
      }
    }
    this.#marking = undefined;
  }

  /**
   * Takes back messages that were not published. A disconnected broker or a stop does not count as a failure of the
   * messages. All other errors count.
   */
  async #takeBack(group: readonly LeasedMessage[], error: unknown): Promise<void> {
    const { outbox, broker } = this.ports;
    this.#failedCount += group.length;
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
      'Outbox message not published; retrying',
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

  /** Renews the leases of all messages in progress, for as long as the broker and earlier messages take. */
  async #renewLeases(): Promise<void> {
    const { outbox } = this.ports;
    while (!this.#stopping.signal.aborted) {
      await pause(LEASE_RENEWAL_MS, this.#stopping.signal);
      // Messages that are in progress during a stop are given back.
      if (this.#stopping.signal.aborted) return;
      const ids = [...this.#underWay].map(({ id }) => id);
      if (ids.length === 0) continue;
      await this.#guarded(() => outbox.extendLease(ids, this.#newLease()));
    }
  }

  /** Releases the messages of relays that ended and claims them, without waiting for the end of their leases. */
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
        logger.warn({ messages: released }, 'Leases of a stopped relay released');
        this.wake();
      }
      absentBefore = absent ?? [];
      await pause(ABSENCE_CHECK_MS, this.#stopping.signal);
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

  /**
   * Runs a step on the database and survives its errors. The caller retries at its next turn, so the relay never
   * stops because of the database.
   */
  async #guarded<Result>(step: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await step();
    } catch (error) {
      if (!isOutage(error)) {
        this.ports.logger.error({ err: error }, 'Outbox access failed; retrying');
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

/**
 * Returns how many of the first messages of a subject are published together, without a wait between them. A message
 * that failed before is published alone, so that it does not fail other messages.
 */
function togetherIn(messages: readonly LeasedMessage[]): number {
  const failed = messages.findIndex(({ attempts }) => attempts > 0);
  return failed === -1 ? messages.length : Math.max(failed, 1);
}

function headsWithTrace({ message, heads }: CommittedMessage): readonly AccountHead[] {
  const { traceparent } = message;
  return traceparent === null ? heads : heads.map((head) => ({ ...head, traceparent }));
}

/** Publishes messages in a span of the trace of the first one, which links to the traces of the others. */
function tracePublication(
  [first, ...others]: readonly LeasedMessage[],
  publish: () => Promise<void>,
): Promise<void> {
  if (!first) return publish();
  const options = {
    kind: SpanKind.PRODUCER,
    parent: contextOf(first.traceparent),
    links: linksTo(others.map(({ traceparent }) => contextOf(traceparent))),
    attributes: {
      'messaging.operation.type': 'send',
      'messaging.batch.message_count': others.length + 1,
    },
  };
  return inSpan(`publish ${first.type}`, options, publish);
}
