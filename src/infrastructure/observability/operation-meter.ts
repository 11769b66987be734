/** Counts operations by their field and outcome, and measures how long they take. */
import { Counter, Histogram, type OpenMetricsContentType, type Registry } from 'prom-client';
import type { Exemplar } from './tracing.js';

/** From a read of a quiet server to the longest time that a request may take. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** An operation that has ended. */
export interface EndedOperation {
  /** The field of the schema that the operation selects; the schema bounds the number of values. */
  readonly field: string;
  /** OK, or the code of the first error. */
  readonly outcome: string;
  readonly durationMs: number;
  /** The number of events that were sent to a subscriber; undefined for a query or a mutation. */
  readonly eventCount: number | undefined;
  readonly exemplar: Exemplar;
}

export class OperationMeter {
  readonly #operations = new Counter({
    name: 'virement_operations_total',
    help: 'Operations by the field that they select and by outcome: OK, or the code of the first error.',
    labelNames: ['field', 'outcome'] as const,
    registers: [],
  });
  readonly #durations = new Histogram({
    name: 'virement_operation_duration_seconds',
    help: 'Duration of queries and mutations by the field that they select.',
    // The types of prom-client take the labels of exemplars for labels of the metric.
    labelNames: ['field'] as string[],
    buckets: SECONDS,
    enableExemplars: true,
    registers: [],
  });
  readonly #events = new Counter({
    name: 'virement_events_sent_total',
    help: 'Events of subscriptions that ended, by their field.',
    labelNames: ['field'] as const,
    registers: [],
  });

  readonly #refusedConnections = new Counter({
    name: 'virement_connections_refused_total',
    help: 'WebSockets that were refused or closed before any operation, by reason.',
    labelNames: ['reason'] as const,
    registers: [],
  });

  readonly #limits = new Counter({
    name: 'virement_limits_hit_total',
    help: 'Operations and connections that were refused or cut because of a limit, by limit.',
    labelNames: ['limit'] as const,
    registers: [],
  });

  register(registry: Registry<OpenMetricsContentType>): void {
    registry.registerMetric(this.#operations);
    registry.registerMetric(this.#durations);
    registry.registerMetric(this.#events);
    registry.registerMetric(this.#refusedConnections);
    registry.registerMetric(this.#limits);
  }

  /** @param reason one of the few codes of this program */
  countRefusedConnection(reason: string): void {
    this.#refusedConnections.inc({ reason });
  }

  /** @param limit one of the few codes of this program */
  countLimit(limit: string): void {
    this.#limits.inc({ limit });
  }

  count({ field, outcome, durationMs, eventCount, exemplar }: EndedOperation): void {
    this.#operations.inc({ field, outcome });
    if (eventCount === undefined) {
      const value = durationMs / 1_000;
      this.#durations.observe({ labels: { field }, value, exemplarLabels: exemplar });
    } else this.#events.inc({ field }, eventCount);
  }
}
