/**
 * Publishes the outbox: claim, publish, mark. Every committed message is published at least once:
 * a relay that dies between publishing and marking leaves a message that is due again when its lease
 * ends, and its events have the same ids as before. Woken by commits of this process; those of others
 * that died are found by a poll.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, LedgerReader } from '../../application/ports.js';
import type { Account } from '../../entities/account.entity.js';
import type { OutboxMessage } from '../../entities/outbox-message.entity.js';
import { backoffMs } from '../backoff.js';
import type { Outbox } from '../database/outbox.js';
import type { Logger } from '../observability/logger.js';
import type { Broker, EventMessage } from './broker.js';
import { accountCredited, bulkTransferPerformed, transferPerformed } from './events.js';

/** Messages claimed at once, and marked at once. */
const CLAIM_MAX = 50;

/** How long a claimed message is ours; renewed while a long bulk is published. */
const LEASE_MS = 15_000;
const LEASE_RENEWAL_MS = 5_000;

/** Transfers read at once. */
const TRANSFERS_PAGE = 500;

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
  #isAwake = false;
  #wakeUp: (() => void) | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(private readonly ports: RelayPorts) {}

  start(): void {
    this.ports.broker.onReady(() => this.wake());
    this.#running = Promise.all([this.#relay(), this.#prune()]);
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
      const claimed = this.ports.broker.isReady ? await this.#claim() : [];
      const published = await Promise.all(groupsOf(claimed).map((group) => this.#publish(group)));
      const ids = published.flat();
      if (ids.length > 0) {
        await this.#guarded(() => this.ports.outbox.markPublished(ids, this.ports.clock()));
      }
      if (claimed.length < CLAIM_MAX) await this.#untilWoken();
    }
  }

  async #claim(): Promise<OutboxMessage[]> {
    const { outbox, clock } = this.ports;
    const claimed = await this.#guarded(() => outbox.claim(clock(), CLAIM_MAX, LEASE_MS));
    return claimed ?? [];
  }

  /** @returns the ids of those whose events are all with the broker: of the whole group, or none */
  async #publish(group: readonly OutboxMessage[]): Promise<string[]> {
    try {
      await this.ports.broker.publish(this.#eventsOfGroup(group));
      return group.map((message) => message.id);
    } catch (error) {
      for (const message of group) await this.#guarded(() => this.#postpone(message, error));
      return [];
    }
  }

  async #postpone(message: OutboxMessage, error: unknown): Promise<void> {
    const { outbox, clock, logger } = this.ports;
    const reason = error instanceof Error ? error.message : String(error);
    const { id, type, attempts } = message;
    if (attempts >= ATTEMPTS_MAX) {
      logger.error({ outboxMessageId: id, type, attempts, reason }, 'Outbox message parked');
      await outbox.park(id, clock(), reason);
      return;
    }
    logger.warn({ outboxMessageId: id, type, attempts, reason }, 'Not published; trying again');
    const dueAt = new Date(clock().getTime() + backoffMs(attempts, BACKOFF));
    await outbox.postpone(id, dueAt, reason);
  }

  async *#eventsOfGroup(group: readonly OutboxMessage[]): AsyncIterable<EventMessage> {
    for (const message of group) {
      for await (const event of this.#eventsOf(message)) {
        this.#stopping.signal.throwIfAborted();
        yield event;
      }
    }
  }

  async *#eventsOf(message: OutboxMessage): AsyncIterable<EventMessage> {
    const { reader } = this.ports;
    const [account] = await reader.accountsById([message.accountId]);
    if (!account) throw new Error('The account does not exist');
    if (message.type === 'account.credited') {
      const entry = await reader.entryAt(message.accountId, message.sequence);
      if (!entry) throw new Error('The ledger entry does not exist');
      yield accountCredited(entry, account, message.traceparent);
    } else {
      yield* this.#bulkEventsOf(message, account);
    }
  }

  /** The bulk, its transfers in order, and what accounts of this server received. */
  async *#bulkEventsOf(message: OutboxMessage, account: Account): AsyncIterable<EventMessage> {
    const { reader, outbox, clock } = this.ports;
    const { traceparent } = message;
    const bulkTransfer = await reader.bulkTransferAt(message.accountId, message.sequence);
    if (!bulkTransfer) throw new Error('The bulk transfer does not exist');
    yield bulkTransferPerformed(bulkTransfer, account, traceparent);
    let renewedAt = clock().getTime();
    let after: bigint | undefined;
    for (let hasNextPage = true; hasNextPage; ) {
      const range = { size: TRANSFERS_PAGE, fromEnd: false, ...(after !== undefined && { after }) };
      const page = await reader.transfersOfBulk(bulkTransfer, range);
      for (const transfer of page.nodes) yield transferPerformed(transfer, account, traceparent);
      after = page.nodes.at(-1)?.position;
      hasNextPage = page.hasNextPage;
      const now = clock().getTime();
      if (now - renewedAt > LEASE_RENEWAL_MS) {
        await outbox.extendLease(message.id, new Date(now + LEASE_MS));
        renewedAt = now;
      }
    }
    const entries = await reader.bookEntriesOf(bulkTransfer.id);
    const receivers = await reader.accountsById(entries.map((entry) => entry.accountId));
    for (const [index, entry] of entries.entries()) {
      const receiver = receivers[index];
      if (receiver) yield accountCredited(entry, receiver, traceparent);
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
function groupsOf(messages: readonly OutboxMessage[]): OutboxMessage[][] {
  const groups = new Map<string, OutboxMessage[]>();
  for (const message of messages) {
    const key = message.attempts > 1 ? message.id : message.accountId;
    const group = groups.get(key);
    if (group) group.push(message);
    else groups.set(key, [message]);
  }
  return [...groups.values()];
}
