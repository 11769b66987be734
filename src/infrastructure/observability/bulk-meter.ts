/** Measures bulk transfers: their outcomes, amounts and phases, and the groups in which they are committed. */
import { Counter, Histogram, type OpenMetricsContentType, type Registry } from 'prom-client';
import type { RunPhase } from '../../application/ports/phases.js';
import { fractionDigitsOf } from '../../domain/currency.js';
import { AbandonedError, DomainError, UnavailableError } from '../../domain/errors.js';
import type { BulkTransfer } from '../../entities/bulk-transfer.entity.js';
import { activeExemplar, inSpan } from './tracing.js';

/** From a quiet server's fastest phase to the longest time that a lock is waited for. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const MEMBERS = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/** A bulk that was performed, now or by an earlier request. */
interface Performed {
  readonly bulkTransfer: BulkTransfer;
  readonly replayed: boolean;
}

export class BulkMeter {
  readonly #bulks = new Counter({
    name: 'virement_bulk_transfers_total',
    help: 'Requests for a bulk transfer by outcome: PERFORMED, REPLAYED, or the code of the refusal.',
    labelNames: ['outcome'] as const,
    registers: [],
  });
  readonly #transfers = new Counter({
    name: 'virement_transfers_total',
    help: 'Transfers of the bulks that were performed.',
    registers: [],
  });
  readonly #amounts = new Counter({
    name: 'virement_transferred_amount_total',
    help: 'Sum of the transfers that were performed, in units of the currency.',
    labelNames: ['currency'] as const,
    registers: [],
  });
  readonly #phases = new Histogram({
    name: 'virement_bulk_transfer_phase_duration_seconds',
    help: 'Duration of the phases of bulk transfers. Lock, write and commit are those of a group.',
    // The types of prom-client take the labels of exemplars for labels of the metric.
    labelNames: ['phase'] as string[],
    buckets: SECONDS,
    enableExemplars: true,
    registers: [],
  });
  readonly #members = new Histogram({
    name: 'virement_group_commit_members',
    help: 'Number of units of work that one transaction committed together.',
    buckets: MEMBERS,
    registers: [],
  });
  readonly #lockWaits = new Counter({
    name: 'virement_lock_waits_total',
    help: 'Units of work that waited for an account that another server had locked.',
    registers: [],
  });

  register(registry: Registry<OpenMetricsContentType>): void {
    registry.registerMetric(this.#bulks);
    registry.registerMetric(this.#transfers);
    registry.registerMetric(this.#amounts);
    registry.registerMetric(this.#phases);
    registry.registerMetric(this.#members);
    registry.registerMetric(this.#lockWaits);
  }

  /** Counts the outcome of a request for a bulk transfer. */
  async count<Result extends Performed>(outcome: Promise<Result>): Promise<Result> {
    try {
      const performed = await outcome;
      this.#countPerformed(performed);
      return performed;
    } catch (error) {
      this.#bulks.inc({ outcome: codeOf(error) });
      throw error;
    }
  }

  readonly runPhase: RunPhase = (phase, work) =>
    inSpan(phase, {}, async () => {
      const startedAt = performance.now();
      try {
        return await work();
      } finally {
        this.#notePhase(phase, performance.now() - startedAt);
      }
    });

  /** Notes the time that a unit of work waited in line, in milliseconds. */
  noteWait(waitedMs: number): void {
    this.#notePhase('wait', waitedMs);
  }

  #notePhase(phase: string, durationMs: number): void {
    const exemplarLabels = activeExemplar();
    this.#phases.observe({ labels: { phase }, value: durationMs / 1_000, exemplarLabels });
  }

  noteCommit(memberCount: number): void {
    this.#members.observe(memberCount);
  }

  noteLockWaits(memberCount: number): void {
    this.#lockWaits.inc(memberCount);
  }

  #countPerformed({ bulkTransfer, replayed }: Performed): void {
    this.#bulks.inc({ outcome: replayed ? 'REPLAYED' : 'PERFORMED' });
    if (replayed) return;
    const { transferCount, currency, totalAmountMinor } = bulkTransfer;
    this.#transfers.inc(transferCount);
    const units = Number(totalAmountMinor) / 10 ** (fractionDigitsOf(currency) ?? 0);
    this.#amounts.inc({ currency }, units);
  }
}

/** Returns the code of a refusal. Its values are few, so that the metric stays small. */
function codeOf(error: unknown): string {
  if (error instanceof DomainError) return error.rejection.code;
  if (error instanceof UnavailableError) return error.reason;
  return error instanceof AbandonedError ? 'ABANDONED' : 'UNEXPECTED';
}
