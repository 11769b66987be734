/**
 * Decides how an event continues after a failure of its handler. An event is tried once and then once after each delay.
 *
 * Jitter. RabbitMQ expires messages only at the head of a queue, so a message that should expire early waits behind one
 * that expires late. Each delay queue therefore has one delay, and its oldest message is always the first to expire.
 * Jitter is a choice between three such queues for each message: the delay shortened, as given, and extended.
 */
import { MalformedEventError } from './event.js';

export interface RetryOptions {
  /**
   * The delay before each further attempt, in milliseconds. An empty list means one attempt. Default: 1 second,
   * 10 seconds, 1 minute and 10 minutes.
   */
  readonly delaysMs?: readonly number[];
  /** The part by which a delay is shortened or extended, from 0 to below 1. Default: 0.2. */
  readonly jitter?: number;
  /** Tells whether another attempt would fail in the same way, so that the event becomes a dead letter at once. */
  readonly isPermanent?: (error: unknown) => boolean;
}

export type DeadLetterReason = 'PERMANENT' | 'ATTEMPTS_EXHAUSTED';

export type Verdict =
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'dead-letter'; readonly reason: DeadLetterReason };

const DELAYS_MS = [1_000, 10_000, 60_000, 600_000];
const JITTER = 0.2;

/** The longest delay: that of a timer in Node, which is shorter than that of RabbitMQ. */
const DELAY_MAX_MS = 2 ** 31 - 1;

/** Limits the queues at the broker. */
const DELAYS_MAX = 20;

export class RetryPolicy {
  readonly #delaysMs: readonly number[];
  readonly #jitter: number;
  readonly #isPermanent: (error: unknown) => boolean;

  /** @throws TypeError if the options cannot be used */
  constructor({
    delaysMs = DELAYS_MS,
    jitter = JITTER,
    isPermanent = () => false,
  }: RetryOptions = {}) {
    if (delaysMs.length > DELAYS_MAX) {
      throw new TypeError(`retry.delaysMs has more than ${DELAYS_MAX} delays`);
    }
    if (!(jitter >= 0 && jitter < 1)) throw new TypeError('retry.jitter is not from 0 to below 1');
    this.#delaysMs = delaysMs;
    this.#jitter = jitter;
    this.#isPermanent = isPermanent;
    for (const delayMs of this.allDelaysMs) {
      if (!Number.isInteger(delayMs) || delayMs < 1 || delayMs > DELAY_MAX_MS) {
        throw new TypeError('retry.delaysMs has a delay that is no whole number of milliseconds');
      }
    }
  }

  /** Every delay that a verdict can have: one queue each. */
  get allDelaysMs(): readonly number[] {
    return [...new Set(this.#delaysMs.flatMap((delayMs) => this.#choicesOf(delayMs)))];
  }

  /** The longest time between the first and the last attempt of an event, without the attempts themselves. */
  get totalMs(): number {
    return this.#delaysMs.reduce((total, delayMs) => total + delayMs * (1 + this.#jitter), 0);
  }

  /**
   * @param attempt the attempt that failed, from 1
   * @param random in [0, 1)
   */
  verdictOn(error: unknown, attempt: number, random = Math.random()): Verdict {
    if (error instanceof MalformedEventError || this.#considersPermanent(error)) {
      return { kind: 'dead-letter', reason: 'PERMANENT' };
    }
    const delayMs = this.#delaysMs[attempt - 1];
    if (delayMs === undefined) return { kind: 'dead-letter', reason: 'ATTEMPTS_EXHAUSTED' };
    const choices = this.#choicesOf(delayMs);
    return { kind: 'retry', delayMs: choices[Math.floor(random * choices.length)] ?? delayMs };
  }

  #choicesOf(delayMs: number): readonly number[] {
    if (this.#jitter === 0) return [delayMs];
    const shortened = Math.max(1, Math.round(delayMs * (1 - this.#jitter)));
    return [shortened, delayMs, Math.round(delayMs * (1 + this.#jitter))];
  }

  /** A classifier that fails decides nothing. */
  #considersPermanent(error: unknown): boolean {
    try {
      return this.#isPermanent(error);
    } catch {
      return false;
    }
  }
}
