/**
 * Publishes the outbox: claim, publish, mark. Every committed message is published at least once:
 * a relay that dies between publishing and marking leaves a message that is due again when its lease
 * ends, and its events have the same ids as before. Woken by commits of this process; those of others
 * that died are found by a poll.
 *
 * Up to 200 messages are under way at once. Those of one account go out in order, one group after the
 * other; accounts do not wait for each other, so that a large bulk holds up its own account alone.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, LedgerReader } from '../../application/ports.js';
import { backoffMs } from '../backoff.js';
import type { ClaimedMessage, Outbox } from '../database/outbox.js';
import type { Logger } from '../observability/logger.js';
import type { Broker, EventMessage } from './broker.js';
import { eventsOf, headsOf } from './outbox-events.js';

/** Messages that are claimed and not done with. */
const UNDER_WAY_MAX = 200;

/** How long a claimed message is ours; renewed for as long as it is under way. */
const LEASE_MS = 15_000;
const LEASE_RENEWAL_MS = 5_000;

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
  readonly reader: LedgerReader;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long published messages are kept. */
  readonly retentionMs: number;
}

export class Relay {
  readonly #stopping = new AbortController();
  /** Messages that are claimed and not done with. */
  readonly #underWay = new Set<ClaimedMessage>();
  /** By account: done when all that it has under way is. */
  readonly #queues = new Map<string, Promise<void>>();
  #isAwake = false;
  #wakeUp: (() => void) | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(private readonly ports: RelayPorts) {}

  start(): void {
    this.ports.broker.onReady(() => this.wake());
    this.#running = Promise.all([this.#relay(), this.#renewLeases(), this.#prune()]);
  }

  /** There is something to publish. */
  wake(): void {
    this.#isAwake = true;
    this.#wakeUp?.();
  }

  /** Stops between two events; what was not marked is published again by whoever comes next. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await Promise.race([this.#running, sleep(STOP_MAX_MS, undefined, { ref: false })]);
  }

  async #relay(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#isAwake = false;
      const room = UNDER_WAY_MAX - this.#underWay.size;
      const claimed = room > 0 && this.ports.broker.isReady ? await this.#claim(room) : [];
      for (const group of groupsOf(claimed)) this.#enqueue(group);
      // A full claim may have left some behind; where there is no room, whoever is done wakes us.
      if (room === 0 || claimed.length < room) await this.#untilWoken();
      await pause(CLAIM_PAUSE_MS, this.#stopping.signal);
    }
    await Promise.all(this.#queues.values());
  }

  async #claim(messagesMax: number): Promise<ClaimedMessage[]> {
    const { outbox, clock } = this.ports;
    const claimed = await this.#guarded(() => outbox.claim(clock(), messagesMax, LEASE_MS));
    return claimed ?? [];
  }

  /** Publishes messages of one account after those that it has under way. */
  #enqueue(group: readonly ClaimedMessage[]): void {
    const accountId = group[0]?.accountId ?? '';
    for (const message of group) this.#underWay.add(message);
    const before = this.#queues.get(accountId) ?? Promise.resolve();
    const done = before.then(async () => {
      await this.#publish(group);
      const wasFull = this.#underWay.size === UNDER_WAY_MAX;
      for (const message of group) this.#underWay.delete(message);
      if (this.#queues.get(accountId) === done) this.#queues.delete(accountId);
      if (wasFull) this.wake();
    });
    this.#queues.set(accountId, done);
  }

  /** Marks the whole group, once all of its events are with the broker, or none of it. */
  async #publish(group: readonly ClaimedMessage[]): Promise<void> {
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
  async #takeBack(group: readonly ClaimedMessage[], error: unknown): Promise<void> {
    const { outbox, broker } = this.ports;
    if (broker.isReady && !this.#stopping.signal.aborted) {
      for (const message of group) await this.#postpone(message, error);
      return;
    }
    for (const [lease, messages] of byLease(group)) {
      const ids = messages.map(({ id }) => id);
      await outbox.release(ids, lease);
    }
  }

  async #postpone(message: ClaimedMessage, cause: unknown): Promise<void> {
    const { outbox, clock, logger } = this.ports;
    const { id, type } = message;
    const error = cause instanceof Error ? cause.message : String(cause);
    const failure = { attempts: message.attempts + 1, lease: message.lease, error };
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
    const { outbox, clock } = this.ports;
    while (!this.#stopping.signal.aborted) {
      await pause(LEASE_RENEWAL_MS, this.#stopping.signal);
      if (this.#underWay.size === 0) continue;
      const until = new Date(clock().getTime() + LEASE_MS);
      for (const [lease, messages] of byLease([...this.#underWay])) {
        const ids = messages.map(({ id }) => id);
        await this.#guarded(async () => {
          await outbox.extendLease(ids, lease, until);
          for (const message of messages) message.lease = until;
        });
      }
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
      this.ports.logger.error({ err: error }, 'The outbox could not be read or written');
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
 * What is published together: the messages of one account, in order, without a wait between them. One
 * that failed before goes alone, so that it takes no other down with it.
 */
function groupsOf(messages: readonly ClaimedMessage[]): ClaimedMessage[][] {
  const groups = new Map<string, ClaimedMessage[]>();
  for (const message of messages) {
    const key = message.attempts > 0 ? message.id : message.accountId;
    const group = groups.get(key);
    if (group) group.push(message);
    else groups.set(key, [message]);
  }
  return [...groups.values()];
}

/** Messages that were claimed together have one lease. */
function byLease(messages: readonly ClaimedMessage[]): [Date, ClaimedMessage[]][] {
  const byTime = Map.groupBy(messages, ({ lease }) => lease.getTime());
  return [...byTime].map(([time, ofLease]) => [new Date(time), ofLease]);
}
