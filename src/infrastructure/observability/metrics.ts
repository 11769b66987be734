import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { DeadLetterStore } from '../../application/ports/dead-letters.js';
import type { OutboxAdmin } from '../../application/ports/outbox-admin.js';

/**
 * Makes the metrics for Prometheus: process metrics, and the outbox, dead letters and subscriptions as of the scrape.
 */
export function makeMetrics(
  outbox: OutboxAdmin,
  deadLetters: Pick<DeadLetterStore, 'counts'>,
  subscriptionCount: () => number,
): Registry {
  const registry = new Registry();
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
  new Gauge({
    name: 'virement_subscriptions',
    help: 'Active subscriptions.',
    registers: [registry],
    collect() {
      this.set(subscriptionCount());
    },
  });
  return registry;
}
