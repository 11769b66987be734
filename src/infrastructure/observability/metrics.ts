import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { DeadLetterStore } from '../../application/ports/dead-letters.js';
import type { OutboxAdmin } from '../../application/ports/outbox-admin.js';
import type { BulkMeter } from './bulk-meter.js';
import type { OperationMeter } from './operation-meter.js';

/** What is counted of webhooks. */
export interface WebhookCounts {
  /** The attempts of this process since its start, by outcome. */
  readonly attemptCounts: { readonly delivered: number; readonly failed: number };
  countDue(): Promise<number>;
}

export interface MetricsSources {
  /** The meters count bulks and operations as they end. */
  readonly meters: { readonly bulks: BulkMeter; readonly operations: OperationMeter };
  readonly outbox: OutboxAdmin;
  readonly deadLetters: Pick<DeadLetterStore, 'counts'>;
  readonly webhooks: { readonly counts: WebhookCounts };
  readonly feeds: { readonly subscriptionCount: number };
}

/**
 * Makes the metrics for Prometheus: process metrics, the meters, and the outbox, dead letters, webhooks and subscriptions
 * as of the scrape. @returns the function that reads them in Prometheus' text format
 */
export function makeMetrics({
  outbox,
  deadLetters,
  webhooks,
  feeds,
  meters,
}: MetricsSources): () => Promise<string> {
  const registry = new Registry();
  meters.bulks.register(registry);
  meters.operations.register(registry);
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'virement_outbox_messages',
    help: 'Outbox messages by state: due, or parked after too many attempts.',
    labelNames: ['state'],
    registers: [registry],
    async collect() {
      const { due, parked } = await outbox.counts();
      this.set({ state: 'due' }, due);
      this.set({ state: 'parked' }, parked);
    },
  });
  new Gauge({
    name: 'virement_outbox_oldest_due_seconds',
    help: 'Age of the oldest outbox message that is due; 0 if none is due.',
    registers: [registry],
    async collect() {
      const { oldestDueSince } = await outbox.counts();
      // The time of an account may be ahead of this machine's clock.
      const ageMs = oldestDueSince ? Date.now() - oldestDueSince.getTime() : 0;
      this.set(Math.max(ageMs, 0) / 1_000);
    },
  });
  new Gauge({
    name: 'virement_dead_letters',
    help: 'Dead letters by consumer: the 20 consumers with the most, and all others as other.',
    labelNames: ['consumer'],
    registers: [registry],
    async collect() {
      const counts = await deadLetters.counts();
      // A consumer without dead letters is no longer counted.
      this.reset();
      for (const { consumer, count } of counts) this.inc({ consumer }, count);
    },
  });
  new Counter({
    name: 'virement_webhook_attempts_total',
    help: 'Calls of webhooks by outcome: delivered, if the status was 200 to 299, or failed.',
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [outcome, count] of Object.entries(webhooks.counts.attemptCounts)) {
        this.inc({ outcome }, count);
      }
    },
  });
  new Gauge({
    name: 'virement_webhook_deliveries_due',
    help: 'Deliveries of webhooks that are due and not claimed, up to 10,000.',
    registers: [registry],
    async collect() {
      this.set(await webhooks.counts.countDue());
    },
  });
  new Gauge({
    name: 'virement_subscriptions',
    help: 'Active subscriptions.',
    registers: [registry],
    collect() {
      this.set(feeds.subscriptionCount);
    },
  });
  return () => registry.metrics();
}
