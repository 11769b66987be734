import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  type OpenMetricsContentType,
  Registry,
} from 'prom-client';
import type { DeadLetterStore } from '../../application/ports/dead-letters.js';
import type { OutboxAdmin } from '../../application/ports/outbox-admin.js';
import type { OrderStatus } from '../../domain/kinds.js';
import type { Database } from '../database/dialect.js';
import type { BulkMeter } from './bulk-meter.js';
import type { OperationMeter } from './operation-meter.js';

/** The number of events of this process since its start, by outcome. */
type OutcomeCounts = Readonly<Record<string, number>>;

/** What is counted of webhooks. */
export interface WebhookCounts {
  /** The attempts of this process since its start. */
  readonly attemptCounts: { readonly delivered: number; readonly failed: number };
  countDue(): Promise<number>;
}

/** The counts of bulk transfer orders. */
export interface OrderCounts {
  /** The orders of this process since its start that came into each state. */
  readonly transitionCounts: ReadonlyMap<OrderStatus, number>;
  /** Counts the submitted orders that are not performed yet. */
  countSubmitted(): Promise<{ readonly count: number; readonly oldestSince: Date | undefined }>;
}

export interface MetricsSources {
  /** The meters count bulks and operations as they end. */
  readonly meters: { readonly bulks: BulkMeter; readonly operations: OperationMeter };
  readonly database: Pick<Database, 'connectionUse'>;
  readonly broker: { readonly isReady: boolean };
  readonly relay: { readonly publicationCounts: OutcomeCounts };
  readonly outbox: OutboxAdmin;
  readonly deadLetters: Pick<DeadLetterStore, 'counts'>;
  readonly webhooks: { readonly counts: WebhookCounts };
  readonly orders: { readonly counts: OrderCounts };
  readonly feeds: { readonly subscriptionCount: number };
}

/** OpenMetrics 1.0, which has exemplars. prom-client cannot serve its older format from the same registry. */
export const METRICS_TYPE = Registry.OPENMETRICS_CONTENT_TYPE;

/**
 * Makes the metrics for Prometheus: process metrics, the meters, and everything else as of the scrape.
 * @returns the function that reads them in the format of METRICS_TYPE
 */
export function makeMetrics(sources: MetricsSources): () => Promise<string> {
  const { meters, broker, feeds } = sources;
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(METRICS_TYPE);
  meters.bulks.register(registry);
  meters.operations.register(registry);
  collectDefaultMetrics({ register: registry });
  addOutboxMetrics(registry, sources);
  addDeadLetterMetrics(registry, sources);
  addWebhookMetrics(registry, sources);
  addOrderMetrics(registry, sources);
  addConnectionMetrics(registry, sources);
  new Gauge({
    name: 'virement_broker_ready',
    help: '1 if events can be published now, else 0.',
    registers: [registry],
    collect() {
      this.set(broker.isReady ? 1 : 0);
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

function addConnectionMetrics(
  registry: Registry<OpenMetricsContentType>,
  { database }: MetricsSources,
): void {
  new Gauge({
    name: 'virement_database_connections',
    help: 'Connections to the database that are in_use, and work that is waiting for one.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const { connectionUse } = database;
      if (!connectionUse) return;
      this.set({ state: 'in_use' }, connectionUse.inUse);
      this.set({ state: 'waiting' }, connectionUse.waiting);
    },
  });
}

function addOutboxMetrics(
  registry: Registry<OpenMetricsContentType>,
  { outbox, relay }: MetricsSources,
): void {
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
  addOutcomeCounter(registry, {
    name: 'virement_outbox_publications_total',
    help: 'Outbox messages that this process published, and failures to publish one.',
    read: () => relay.publicationCounts,
  });
}

function addDeadLetterMetrics(
  registry: Registry<OpenMetricsContentType>,
  { deadLetters }: MetricsSources,
): void {
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
}

function addWebhookMetrics(
  registry: Registry<OpenMetricsContentType>,
  { webhooks: { counts } }: MetricsSources,
): void {
  addOutcomeCounter(registry, {
    name: 'virement_webhook_attempts_total',
    help: 'Calls of webhooks by outcome: delivered, if the status was 200 to 299, or failed.',
    read: () => counts.attemptCounts,
  });
  new Gauge({
    name: 'virement_webhook_deliveries_due',
    help: 'Deliveries of webhooks that are due and not claimed, up to 10,000.',
    registers: [registry],
    async collect() {
      this.set(await counts.countDue());
    },
  });
}

function addOrderMetrics(
  registry: Registry<OpenMetricsContentType>,
  { orders: { counts } }: MetricsSources,
): void {
  new Counter({
    name: 'virement_order_transitions_total',
    help: 'Bulk transfer orders by the state into which they came.',
    labelNames: ['status'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [status, count] of counts.transitionCounts) this.inc({ status }, count);
    },
  });
  new Gauge({
    name: 'virement_orders_submitted',
    help: 'Submitted orders that are not performed yet.',
    registers: [registry],
    async collect() {
      this.set((await counts.countSubmitted()).count);
    },
  });
  new Gauge({
    name: 'virement_orders_oldest_submitted_seconds',
    help: 'Time since the submission of the oldest order that is not performed yet; 0 if there is none.',
    registers: [registry],
    async collect() {
      const { oldestSince } = await counts.countSubmitted();
      const ageMs = oldestSince ? Date.now() - oldestSince.getTime() : 0;
      this.set(Math.max(ageMs, 0) / 1_000);
    },
  });
}

interface OutcomeMetric {
  readonly name: string;
  readonly help: string;
  readonly read: () => OutcomeCounts;
}

/** Adds a counter of what was counted elsewhere, by outcome. */
function addOutcomeCounter(
  registry: Registry<OpenMetricsContentType>,
  { name, help, read }: OutcomeMetric,
): void {
  new Counter({
    name,
    help,
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [outcome, count] of Object.entries(read())) this.inc({ outcome }, count);
    },
  });
}
