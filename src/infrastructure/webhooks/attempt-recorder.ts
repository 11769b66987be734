/**
 * Records the outcomes of attempts. Outcomes of one moment are recorded in one transaction: the attempts, what becomes
 * of their deliveries, and the health of their webhooks. An outcome is recorded only while its server leases the
 * delivery. If the database is unavailable, the recorder tries until the server stops; then the leases end, and the next
 * server records that the outcome is unknown.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EntityManager } from '@mikro-orm/sql';
import type { Clock } from '../../application/ports/clock.js';
import {
  FAILING_MAX_MS,
  HTTP_GONE,
  isDelivered,
  RETRY_AFTER_MAX_MS,
  retryDelayMs,
} from '../../domain/webhook.js';
import { Webhook } from '../../entities/webhook.entity.js';
import { WebhookAttempt } from '../../entities/webhook-attempt.entity.js';
import { WebhookDelivery } from '../../entities/webhook-delivery.entity.js';
import { backoffMs } from '../backoff.js';
import { type AppendTable, appendTableOf } from '../database/append-rows.js';
import type { Database } from '../database/dialect.js';
import { inTransaction } from '../database/transaction.js';
import { isOutage } from '../database/unavailability.js';
import type { Logger } from '../observability/logger.js';
import { type Line, lockWebhooks, startNext } from './deliveries.js';
import type { WebhookOutcome } from './webhook-sender.js';

/** The time for which outcomes gather. */
const GATHER_MS = 4;

/** The largest number of outcomes in one transaction. */
const OUTCOMES_MAX = 200;

const BACKOFF = { firstMs: 50, maxMs: 5_000 };

/** An attempt that this server has begun. */
export interface BegunAttempt {
  readonly deliveryId: string;
  readonly webhookId: string;
  /** Null for a test event. */
  readonly accountId: string | null;
  readonly ordered: boolean;
  /** The number of the attempt. */
  readonly number: number;
  /** The number of failed attempts before it. */
  readonly failures: number;
  readonly at: Date;
}

/** The outcome of an attempt; `isFinal` if no other attempt may help. */
export interface AttemptOutcome extends WebhookOutcome {
  readonly isFinal?: boolean;
}

interface Recorded {
  readonly attempt: BegunAttempt;
  readonly outcome: AttemptOutcome;
  readonly done: () => void;
}

export interface RecorderPorts {
  readonly database: Pick<Database, 'orm' | 'appendRows' | 'isContention'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The id of this server as the holder of leases. */
  readonly holder: string;
}

/** The attempts of this process by their outcome. */
export interface AttemptCounts {
  readonly delivered: number;
  readonly failed: number;
}

export class AttemptRecorder {
  #counts: AttemptCounts = { delivered: 0, failed: 0 };
  readonly #table: AppendTable<WebhookAttempt>;
  readonly #stopping = new AbortController();
  #waiting: Recorded[] = [];
  #recording: Promise<void> | undefined;

  constructor(private readonly ports: RecorderPorts) {
    this.#table = appendTableOf(ports.database.orm, WebhookAttempt);
  }

  get counts(): AttemptCounts {
    return this.#counts;
  }

  /** Records an outcome. It resolves when the outcome is recorded, or when the recorder has given up. */
  record(attempt: BegunAttempt, outcome: AttemptOutcome): Promise<void> {
    const { delivered, failed } = this.#counts;
    this.#counts = isDelivered(outcome.httpStatus)
      ? { delivered: delivered + 1, failed }
      : { delivered, failed: failed + 1 };
    return new Promise((resolve) => {
      this.#waiting.push({ attempt, outcome, done: resolve });
      this.#recording ??= this.#recordAll();
    });
  }

  /** Gives up what cannot be recorded at once. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#recording;
  }

  async #recordAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#pause(GATHER_MS);
      const some = this.#waiting.splice(0, OUTCOMES_MAX);
      await this.#recordSome(some);
      for (const { done } of some) done();
    }
    this.#recording = undefined;
  }

  async #recordSome(some: readonly Recorded[]): Promise<void> {
    const { database, logger } = this.ports;
    for (let failures = 0; ; ) {
      try {
        const disabled = await inTransaction(database.orm.em.fork(), (em) => this.#write(em, some));
        for (const { id, reason } of disabled) {
          logger.warn({ webhook: id, reason }, 'Webhook disabled');
        }
        return;
      } catch (error) {
        failures += 1;
        if (failures === 1 && !isOutage(error) && !database.isContention(error)) {
          logger.warn({ err: error }, 'Attempts of webhooks not recorded; retrying');
        }
        if (this.#stopping.signal.aborted) return;
        await this.#pause(backoffMs(failures, BACKOFF));
      }
    }
  }

  /** @returns the webhooks that were disabled */
  async #write(em: EntityManager, some: readonly Recorded[]): Promise<DisabledWebhook[]> {
    await lockWebhooks(em, [...new Set(some.map(({ attempt }) => attempt.webhookId))]);
    const held = await this.#heldOf(em, some);
    const disabled: DisabledWebhook[] = [];
    for (const [id, ofWebhook] of Map.groupBy(held, ({ attempt }) => attempt.webhookId)) {
      const reason = await this.#writeHealth(em, id, ofWebhook);
      if (reason !== undefined) disabled.push({ id, reason });
    }
    await this.ports.database.appendRows(em, [this.#table(held.map(attemptOf))]);
    await this.#writeDeliveries(em, held);
    const now = this.ports.clock();
    for (const line of endedLines(held)) await startNext(em, line, now);
    return disabled;
  }

  /** Returns the outcomes whose deliveries this server still leases. */
  async #heldOf(em: EntityManager, some: readonly Recorded[]): Promise<Recorded[]> {
    const ids = some.map(({ attempt }) => attempt.deliveryId);
    const leased = await em.find(
      WebhookDelivery,
      { id: { $in: ids }, leasedBy: this.ports.holder },
      { fields: ['id', 'attempts'], disableIdentityMap: true },
    );
    const attempts = new Map(leased.map((delivery) => [delivery.id, delivery.attempts]));
    return some.filter(({ attempt }) => attempts.get(attempt.deliveryId) === attempt.number);
  }

  async #writeDeliveries(em: EntityManager, held: readonly Recorded[]): Promise<void> {
    const now = this.ports.clock();
    const { holder } = this.ports;
    const isOver = { leasedBy: null, leasedAt: null } as const;
    const delivered = held.filter(({ outcome }) => isDelivered(outcome.httpStatus));
    if (delivered.length > 0) {
      await em.nativeUpdate(
        WebhookDelivery,
        { id: { $in: delivered.map(({ attempt }) => attempt.deliveryId) }, leasedBy: holder },
        { ...isOver, status: 'DELIVERED', dueAt: null, endedAt: now },
      );
    }
    for (const recorded of held.toSorted(byDelivery)) {
      if (isDelivered(recorded.outcome.httpStatus)) continue;
      const { deliveryId: id, failures } = recorded.attempt;
      const delayMs = delayOf(recorded);
      const next =
        delayMs === undefined
          ? ({ status: 'FAILED', dueAt: null, endedAt: now } as const)
          : { dueAt: new Date(now.getTime() + delayMs) };
      const changes = { ...isOver, ...next, failures: failures + 1 };
      await em.nativeUpdate(WebhookDelivery, { id, leasedBy: holder }, changes);
    }
  }

  /** Notes whether the webhook can be called. @returns the reason if it is disabled now */
  async #writeHealth(
    em: EntityManager,
    id: string,
    ofWebhook: readonly Recorded[],
  ): Promise<string | undefined> {
    const now = this.ports.clock();
    // A call that did not leave this server's own network says nothing about the receiver.
    const answers = ofWebhook.filter(({ outcome }) => !outcome.isOwnFailure);
    if (answers.length === 0) {
      // No attempt reached the receiver, so the 24 hours of its failures begin anew.
      await em.nativeUpdate(Webhook, { id }, { failingSince: null });
      return undefined;
    }
    const gone = answers.find(({ outcome }) => outcome.httpStatus === HTTP_GONE);
    if (answers.some(({ outcome }) => isDelivered(outcome.httpStatus))) {
      await em.nativeUpdate(Webhook, { id }, { lastDeliveredAt: now, failingSince: null });
    } else {
      await em.nativeUpdate(Webhook, { id, failingSince: null }, { failingSince: now });
    }
    if (gone) return disable(em, { id }, 'The receiver answered 410 Gone.');
    const last = answers.at(-1)?.outcome;
    const longAgo = new Date(now.getTime() - FAILING_MAX_MS);
    const reason = `All attempts failed for 24 hours. The last one: ${last?.error ?? `HTTP status ${last?.httpStatus}.`}`;
    return disable(em, { id, failingSince: { $lte: longAgo } }, reason);
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

interface DisabledWebhook {
  readonly id: string;
  readonly reason: string;
}

async function disable(
  em: EntityManager,
  where: { readonly id: string; readonly failingSince?: { readonly $lte: Date } },
  reason: string,
): Promise<string | undefined> {
  const disabled = { status: 'DISABLED', disabledReason: reason } as const;
  const count = await em.nativeUpdate(Webhook, { ...where, status: 'ENABLED' }, disabled);
  return count > 0 ? reason : undefined;
}

function attemptOf({ attempt, outcome }: Recorded): WebhookAttempt {
  const { deliveryId, number, at } = attempt;
  const { durationMs, httpStatus, error, responseBody } = outcome;
  return WebhookAttempt.of({ deliveryId, number, at, durationMs, httpStatus, error, responseBody });
}

/** Returns the delay before the next attempt; undefined if there is none. */
function delayOf({ attempt, outcome }: Recorded): number | undefined {
  if (outcome.isFinal || outcome.httpStatus === HTTP_GONE) return undefined;
  const delayMs = retryDelayMs(attempt.failures + 1, Math.random());
  if (delayMs === undefined) return undefined;
  return Math.max(delayMs, Math.min(outcome.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS));
}

/** Returns the lines whose due delivery ends. */
function endedLines(held: readonly Recorded[]): Line[] {
  const lines = held.flatMap((recorded): Line[] => {
    const { attempt, outcome } = recorded;
    const { ordered, webhookId, accountId } = attempt;
    const isEnded = isDelivered(outcome.httpStatus) || delayOf(recorded) === undefined;
    return ordered && accountId !== null && isEnded ? [{ webhookId, accountId }] : [];
  });
  return [...new Map(lines.map((line) => [line.webhookId + line.accountId, line])).values()];
}

/** Every transaction updates deliveries in the order of their ids. */
function byDelivery({ attempt: one }: Recorded, { attempt: other }: Recorded): number {
  return one.deliveryId < other.deliveryId ? -1 : 1;
}
