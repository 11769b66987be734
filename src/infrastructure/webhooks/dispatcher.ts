/**
 * The dispatcher: claims deliveries that are due, sends them, and records the outcome of each attempt.
 *
 * A claim leases deliveries to this server in one commit, before the first byte is sent. It counts the attempt. If the
 * server stops before it records the outcome, the lease ends, and the next claim records that the outcome is unknown and
 * makes another attempt. So each attempt is on record, an event is sent at least once, and a delivery that was recorded
 * as delivered is not sent again.
 *
 * Servers share the work: each claims what the others have not claimed. A webhook gets at most as many deliveries as it
 * has free calls, so nothing is held back in a queue of this process, and no receiver waits for another: see Endpoints.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { raw } from '@mikro-orm/core';
import type { EntityManager } from '@mikro-orm/sql';
import type { Clock } from '../../application/ports/clock.js';
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import type { NewId } from '../../domain/id.js';
import { OUTCOME_UNKNOWN_ERROR } from '../../domain/webhook.js';
import { Webhook } from '../../entities/webhook.entity.js';
import { WebhookAttempt } from '../../entities/webhook-attempt.entity.js';
import { WebhookDelivery } from '../../entities/webhook-delivery.entity.js';
import { backoffMs } from '../backoff.js';
import type { Database } from '../database/dialect.js';
import { idLiteral, idOfHex, NO_ID } from '../database/id-literal.js';
import { inTransaction } from '../database/transaction.js';
import { isOutage } from '../database/unavailability.js';
import type { Logger } from '../observability/logger.js';
import { contextOf, inSpan, SpanKind } from '../observability/tracing.js';
import { type AttemptCounts, AttemptRecorder, type BegunAttempt } from './attempt-recorder.js';
import { readTraces } from './delivery-traces.js';
import {
  type EndpointKey,
  Endpoints,
  type FreeCalls,
  type GuardedCall,
  isFull,
} from './endpoints.js';
import { readBodies } from './event-bodies.js';
import { pruneDeliveries } from './prune.js';
import type { WebhookOutcome, WebhookSender } from './webhook-sender.js';

/** The length of a lease. It is longer than a call and the recording of its outcome take. */
const LEASE_MS = 60_000;

/** The time after its claim within which a call must begin, so that it ends before the lease does. */
const CALL_BEGINS_MAX_MS = 10_000;

/** The interval between polls for deliveries that are due. */
const POLL_MS = 1_000;

/** The largest number of webhooks that one poll finds. The next poll begins after the last of them. */
const POLLED_MAX = 500;

/** The largest number of webhooks in one claim. */
const WEBHOOKS_MAX = 20;

/** The largest number of deliveries that are counted for the metrics. */
const DUE_COUNTED_MAX = 10_000;

/** The interval between deletions of old deliveries. */
const PRUNE_MS = 60_000;

/** The time for calls in progress to end when the server stops: longer than a call takes. */
const STOP_MAX_MS = 12_000;

const BACKOFF = { firstMs: 100, maxMs: 10_000 };

/** A delivery that this server has claimed, and its webhook. */
interface ClaimedDelivery {
  readonly delivery: WebhookDelivery;
  readonly webhook: Webhook;
}

/** The events and the traces that a claim reads, by the ids of its deliveries. */
interface ReadOfClaim {
  /** Null for an event that could not be made. An event that the ledger does not have is absent. */
  readonly bodies: Promise<ReadonlyMap<string, string | null>>;
  readonly traces: Promise<ReadonlyMap<string, string>>;
}

/** A delivery that is due, before it is claimed. */
type Candidate = Pick<WebhookDelivery, 'id' | 'webhookId' | 'attempts' | 'leasedBy' | 'leasedAt'>;

/** A webhook as a poll finds it. */
interface DueRow {
  readonly webhook: string;
  readonly organization: string;
}

export interface DispatcherPorts {
  readonly database: Pick<Database, 'orm' | 'appendRows' | 'isContention' | 'byIndex'>;
  readonly reader: LedgerReader;
  readonly sender: Pick<WebhookSender, 'send'>;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly logger: Logger;
  /** The time for which deliveries that have ended are kept after they were made. */
  readonly retentionMs: number;
}

export class WebhookDispatcher {
  /** Identifies this server's leases. */
  readonly #holder: string;
  readonly #recorder: AttemptRecorder;
  readonly #endpoints = new Endpoints();
  readonly #stopping = new AbortController();
  /** The webhooks that may have deliveries that are due, in the order in which they are served. */
  readonly #due = new Map<string, EndpointKey>();
  readonly #calls = new Set<Promise<void>>();
  /** The last webhook of the last poll; undefined if that poll found all. */
  #polledTo: string | undefined;
  #isPollDue = true;
  #wakeUp: (() => void) | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(private readonly ports: DispatcherPorts) {
    this.#holder = ports.newId();
    this.#recorder = new AttemptRecorder({ ...ports, holder: this.#holder });
  }

  start(): void {
    this.#running = Promise.all([this.#dispatch(), this.#pollAtIntervals(), this.#prune()]);
  }

  /** The attempts of this process by their outcome. */
  get attemptCounts(): AttemptCounts {
    return this.#recorder.counts;
  }

  /** Counts the deliveries that are due, of all servers, up to DUE_COUNTED_MAX. */
  async countDue(): Promise<number> {
    const [row] = await this.ports.database.orm.em.fork().execute<{ count: number | string }[]>(
      `select count(*) as count from (select 1 as counted
        from webhook join webhook_delivery due on due.webhook_id = webhook.id
        where webhook.status = 'ENABLED' and due.due_at <= ? limit ${DUE_COUNTED_MAX}) due`,
      [this.ports.clock()],
    );
    return Number(row?.count);
  }

  /** Reports that a webhook has deliveries that are due. */
  noteDue(webhook: EndpointKey): void {
    const { webhookId, organizationId } = webhook;
    if (!this.#due.has(webhookId)) this.#due.set(webhookId, { webhookId, organizationId });
    this.#wakeUp?.();
  }

  /** Looks for deliveries of all webhooks that are due now. */
  wake(): void {
    this.#isPollDue = true;
    this.#wakeUp?.();
  }

  /**
   * Claims nothing more, and waits for the calls in progress. An outcome that is not recorded in time is unknown to the
   * next server.
   */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeUp?.();
    await this.#running;
    await Promise.race([Promise.all(this.#calls), sleep(STOP_MAX_MS, undefined, { ref: false })]);
    await this.#recorder.stop();
  }

  async #dispatch(): Promise<void> {
    let failures = 0;
    while (!this.#stopping.signal.aborted) {
      try {
        if (this.#isPollDue) await this.#poll();
        const claimedCount = await this.#claimAndSend();
        failures = 0;
        if (claimedCount === 0) await this.#untilWoken();
      } catch (error) {
        failures += 1;
        this.#isPollDue = true;
        const { database, logger } = this.ports;
        if (failures === 1 && !isOutage(error) && !database.isContention(error)) {
          logger.warn({ err: error }, 'Deliveries of webhooks not claimed; retrying');
        }
        await this.#pause(backoffMs(failures, BACKOFF));
      }
    }
  }

  /** Finds the webhooks that have deliveries that are due. */
  async #poll(): Promise<void> {
    this.#isPollDue = false;
    const after = idLiteral(this.#polledTo ?? NO_ID);
    const rows = await this.ports.database.orm.em.fork().execute<DueRow[]>(
      `select hex(id) as webhook, hex(organization_id) as organization from webhook
      where status = 'ENABLED' and id > ${after} and exists (
        select 1 from webhook_delivery due where due.webhook_id = webhook.id and due.due_at <= ?)
      order by id limit ${POLLED_MAX}`,
      [this.ports.clock()],
    );
    for (const { webhook, organization } of rows) {
      this.noteDue({ webhookId: idOfHex(webhook), organizationId: idOfHex(organization) });
    }
    const last = rows.length === POLLED_MAX ? rows.at(-1) : undefined;
    // A poll that began after some webhooks is followed by one from the first webhook on.
    this.#isPollDue = this.#polledTo !== undefined && last === undefined;
    this.#polledTo = last && idOfHex(last.webhook);
  }

  /** @returns the number of claimed deliveries, which are being sent */
  async #claimAndSend(): Promise<number> {
    const free = this.#endpoints.freeCalls(this.#due.values(), WEBHOOKS_MAX);
    if (free.length === 0) return 0;
    // Deliveries that are added from now on make their webhook due again.
    for (const { key } of free) this.#due.delete(key.webhookId);
    const candidates = await this.#findCandidates(free);
    const byWebhook = Map.groupBy(candidates, ({ webhookId }) => webhookId);
    for (const { key, count } of free) {
      // A webhook that may have more deliveries waits behind the others.
      if (byWebhook.get(key.webhookId)?.length === count) this.noteDue(key);
    }
    if (candidates.length === 0) return this.#due.size;
    const claimed = await this.#claim(candidates);
    if (claimed.length > 0) this.#send(claimed);
    return candidates.length;
  }

  /** Finds deliveries that are due, the longest due first, as many for each webhook as it has free calls. */
  async #findCandidates(free: readonly FreeCalls[]): Promise<Candidate[]> {
    const em = this.ports.database.orm.em.fork();
    const now = this.ports.clock();
    const found: Candidate[] = [];
    for (const { key, count } of free) {
      const due = { webhookId: key.webhookId, dueAt: { $lte: now }, ...isCalled(key.webhookId) };
      found.push(
        ...(await em.find(WebhookDelivery, due, {
          fields: ['id', 'webhookId', 'attempts', 'leasedBy', 'leasedAt'],
          orderBy: { dueAt: 'asc', id: 'asc' },
          limit: count,
          disableIdentityMap: true,
        })),
      );
    }
    return found;
  }

  /**
   * Leases deliveries to this server, and counts their attempts. Those that others have claimed, or whose webhook was
   * disabled meanwhile, are left out.
   */
  #claim(candidates: readonly Candidate[]): Promise<ClaimedDelivery[]> {
    const now = this.ports.clock();
    const lease = {
      leasedBy: this.#holder,
      leasedAt: now,
      dueAt: new Date(now.getTime() + LEASE_MS),
      attempts: raw('attempts + 1'),
    };
    return inTransaction(this.ports.database.orm.em.fork(), async (em) => {
      const webhookIds = [...new Set(candidates.map(({ webhookId }) => webhookId))];
      const webhooks = await em.find(
        Webhook,
        { id: { $in: webhookIds }, status: 'ENABLED' },
        { disableIdentityMap: true },
      );
      const byId = new Map(webhooks.map((webhook) => [webhook.id, webhook]));
      const called = candidates.filter(({ webhookId }) => byId.has(webhookId));
      for (const [attempts, some] of Map.groupBy(called, (candidate) => candidate.attempts)) {
        const ids = some.map(({ id }) => id).sort();
        // The number of attempts tells whether another server has had the delivery meanwhile.
        const isUnchanged = { id: { $in: ids }, attempts, dueAt: { $lte: now } };
        await em.nativeUpdate(WebhookDelivery, isUnchanged, lease);
      }
      const leased = {
        id: { $in: called.map(({ id }) => id) },
        leasedBy: this.#holder,
        leasedAt: now,
      };
      const deliveries = await em.find(WebhookDelivery, leased, { disableIdentityMap: true });
      await this.#recordLost(em, candidates, deliveries);
      return deliveries.flatMap((delivery) => {
        const webhook = byId.get(delivery.webhookId);
        return webhook ? [{ delivery, webhook }] : [];
      });
    });
  }

  /** Records the attempts whose server stopped before it recorded their outcome. */
  async #recordLost(
    em: EntityManager,
    candidates: readonly Candidate[],
    claimed: readonly WebhookDelivery[],
  ): Promise<void> {
    const claimedIds = new Set(claimed.map(({ id }) => id));
    for (const { id, attempts: number, leasedBy, leasedAt } of candidates) {
      if (leasedBy === null || leasedAt === null || !claimedIds.has(id)) continue;
      const unknown = { durationMs: 0, httpStatus: null, responseBody: null };
      const lost = { deliveryId: id, number, at: leasedAt, error: OUTCOME_UNKNOWN_ERROR };
      await em.insert(WebhookAttempt, { ...lost, ...unknown });
    }
  }

  /** Begins the calls of claimed deliveries. */
  #send(claimed: readonly ClaimedDelivery[]): void {
    const deliveries = claimed.map(({ delivery }) => delivery);
    const bodies = this.#readBodies(deliveries);
    const traces = readTraces(this.ports.database.orm.em.fork(), deliveries);
    // Each call reports the error.
    bodies.catch(() => {});
    traces.catch(() => {});
    for (const each of claimed) {
      const work = (call: GuardedCall) => this.#attempt(each, { bodies, traces }, call);
      const call = this.#endpoints
        .occupy(keyOf(each.webhook), work)
        .catch((error: unknown) => this.#release(each.delivery, error))
        .finally(() => {
          this.#calls.delete(call);
          this.#wakeUp?.();
        });
      this.#calls.add(call);
    }
  }

  /** Reads the bodies of deliveries. If one of them cannot be made, halves are read until the others are. */
  async #readBodies(
    deliveries: readonly WebhookDelivery[],
  ): Promise<ReadonlyMap<string, string | null>> {
    const { reader, database, logger } = this.ports;
    try {
      return await readBodies(deliveries, reader);
    } catch (error) {
      if (isOutage(error) || database.isContention(error)) throw error;
      const [only] = deliveries;
      if (deliveries.length === 1) {
        logger.error({ err: error, delivery: only?.id }, 'Event of a webhook not readable');
        return new Map(deliveries.map(({ id }) => [id, null]));
      }
      const middle = Math.ceil(deliveries.length / 2);
      const first = await this.#readBodies(deliveries.slice(0, middle));
      const second = await this.#readBodies(deliveries.slice(middle));
      return new Map([...first, ...second]);
    }
  }

  async #attempt(
    { delivery, webhook }: ClaimedDelivery,
    read: ReadOfClaim,
    call: GuardedCall,
  ): Promise<void> {
    const { sender, clock } = this.ports;
    const body = (await read.bodies).get(delivery.id);
    const traceparent = (await read.traces).get(delivery.id) ?? null;
    const at = clock();
    const claimedAtMs = delivery.leasedAt?.getTime() ?? 0;
    if (at.getTime() - claimedAtMs > CALL_BEGINS_MAX_MS) return this.#release(delivery);
    const attempt = attemptOf(delivery, webhook, at);
    if (body === undefined || body === null) {
      await this.#recorder.record(attempt, body === null ? EVENT_UNREADABLE : EVENT_MISSING);
      return;
    }
    const { url } = webhook;
    const secrets = secretsOf(webhook, at);
    const event = { id: delivery.eventId, url, body, secrets, timestamp: at };
    const outcome = await call(() => traceCall(attempt, traceparent, () => sender.send(event)));
    // The circuit breaker has opened since the claim.
    if (!outcome) return this.#release(delivery);
    const { retryAfterMs } = outcome;
    if (retryAfterMs !== null) this.#endpoints.leaveAlone(keyOf(webhook), retryAfterMs);
    await this.#recorder.record(attempt, outcome);
    // The next delivery of its line may be due now.
    if (webhook.ordered) this.noteDue(keyOf(webhook));
  }

  /** Gives back a delivery that was not sent. If this fails, its lease ends by itself. */
  async #release({ id, attempts }: WebhookDelivery, error?: unknown): Promise<void> {
    if (error !== undefined && !isOutage(error) && !isFull(error)) {
      this.ports.logger.warn({ err: error }, 'Delivery of a webhook not sent');
    }
    const em = this.ports.database.orm.em.fork();
    const mine = { id, attempts, leasedBy: this.#holder };
    const dueAt = this.ports.clock();
    const released = { attempts: attempts - 1, leasedBy: null, leasedAt: null, dueAt };
    await em.nativeUpdate(WebhookDelivery, mine, released).catch(() => {});
  }

  async #pollAtIntervals(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#pause(POLL_MS);
      this.#endpoints.forgetIdle();
      this.wake();
    }
  }

  async #prune(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#pause(PRUNE_MS);
      const { database, clock, logger, retentionMs } = this.ports;
      const before = new Date(clock().getTime() - retentionMs);
      try {
        await pruneDeliveries(database, before, this.#stopping.signal);
      } catch (error) {
        // The next time deletes what this one did not.
        if (isOutage(error) || database.isContention(error)) continue;
        logger.warn({ err: error }, 'Old deliveries of webhooks not deleted; retrying');
      }
    }
  }

  async #untilWoken(): Promise<void> {
    if (this.#isPollDue || this.#stopping.signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#wakeUp = resolve;
    });
    this.#wakeUp = undefined;
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

/** The outcome of an attempt whose event cannot be made now. A later release may know its kind, or read its row. */
const EVENT_UNREADABLE = {
  httpStatus: null,
  error: 'The event could not be read from the ledger.',
  responseBody: null,
  durationMs: 0,
  retryAfterMs: null,
  isOwnFailure: true,
} as const;

/** The outcome of an attempt whose event the ledger does not have, because it was restored from a backup. */
const EVENT_MISSING = {
  ...EVENT_UNREADABLE,
  error: 'The event is no longer in the ledger.',
  isFinal: true,
} as const;

function attemptOf(delivery: WebhookDelivery, { ordered }: Webhook, at: Date): BegunAttempt {
  const { id: deliveryId, webhookId, accountId, attempts: number, failures } = delivery;
  return { deliveryId, webhookId, accountId, ordered, number, failures, at };
}

function keyOf({ id: webhookId, organizationId }: Webhook): EndpointKey {
  return { webhookId, organizationId };
}

/** Returns the condition that a webhook is called. */
function isCalled(webhookId: string): object {
  return {
    [raw(
      `exists (select 1 from webhook where id = ${idLiteral(webhookId)} and status = 'ENABLED')`,
    )]: [],
  };
}

/** Returns the secrets that sign at a moment, the newest first. */
function secretsOf({ secret, previousSecret, previousSecretEndsAt }: Webhook, at: Date): string[] {
  const isOverlap = previousSecretEndsAt !== null && at < previousSecretEndsAt;
  return previousSecret !== null && isOverlap ? [secret, previousSecret] : [secret];
}

/** Makes a call in a span. The span has no part of the URL, because a company may have put a token there. */
function traceCall(
  { webhookId, deliveryId, number }: BegunAttempt,
  traceparent: string | null,
  call: () => Promise<WebhookOutcome>,
): Promise<WebhookOutcome> {
  const attributes = {
    'http.request.method': 'POST',
    'http.request.resend_count': number - 1,
    'virement.webhook.id': webhookId,
    'virement.webhook_delivery.id': deliveryId,
  };
  const options = { kind: SpanKind.CLIENT, parent: contextOf(traceparent), attributes };
  return inSpan('webhook', options, async (span) => {
    const outcome = await call();
    if (outcome.httpStatus !== null) {
      span.setAttribute('http.response.status_code', outcome.httpStatus);
    }
    if (outcome.error !== null) span.setAttribute('error.type', outcome.error);
    return outcome;
  });
}
