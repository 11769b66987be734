/**
 * The limits on calls of webhooks. One slow receiver must delay nobody else: each webhook, each organization and the
 * process have a number of calls that may be in progress at once (bulkheads). A webhook gets all of its calls while its
 * receiver answers quickly; all slow receivers together have a part of the calls of the process. A webhook whose calls
 * fail in a row is left alone for a while, and then tried with one call (circuit breaker).
 */
import {
  BrokenCircuitError,
  type BulkheadPolicy,
  BulkheadRejectedError,
  bulkhead,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhenResult,
} from 'cockatiel';
import { isDelivered } from '../../domain/webhook.js';
import type { WebhookOutcome } from './webhook-sender.js';

/** The largest number of calls at once of a webhook whose receiver answers quickly. */
const ENDPOINT_CALLS_MAX = 20;

/** The largest number of calls at once of a webhook whose receiver is slow, or was not called yet. */
const UNPROVEN_CALLS_MAX = 5;

/** The largest number of calls of one organization at once. */
const ORGANIZATION_CALLS_MAX = 40;

/** The largest number of calls of this process at once. */
export const CALLS_MAX = 400;

/** The largest number of calls of this process at once to slow receivers. The others keep the rest. */
const SLOW_CALLS_MAX = 100;

/** The duration of a call in milliseconds from which its receiver is slow. */
const SLOW_MS = 2_000;

/** The time without a call after which a slow or failing receiver is forgotten. */
const FORGOTTEN_MS = 600_000;

/** The number of failures in a row after which a webhook is left alone. */
const FAILURES_MAX = 5;

/** The time for which a webhook is left alone. */
const BREAK_MS = 5_000;

/** The longest time for which a receiver's request concerns deliveries other than the one that it answered. */
const LEAVE_ALONE_MAX_MS = 60_000;

const isFailure = (outcome: unknown) => !isDelivered((outcome as WebhookOutcome).httpStatus);

/** The webhook of a delivery and its organization. */
export interface EndpointKey {
  readonly webhookId: string;
  readonly organizationId: string;
}

/** The pace at which a receiver answered its last call. */
type Pace = 'unknown' | 'quick' | 'slow';

/** The limits of one webhook. */
class Endpoint {
  readonly #breaker: CircuitBreakerPolicy;
  #quietUntilMs = 0;
  #hasFailed = false;
  #lastCallMs = 0;
  #pace: Pace = 'unknown';
  readonly calls = bulkhead(ENDPOINT_CALLS_MAX);

  constructor() {
    this.#breaker = circuitBreaker(handleWhenResult(isFailure), {
      halfOpenAfter: BREAK_MS,
      breaker: new ConsecutiveBreaker(FAILURES_MAX),
    });
    this.#breaker.onBreak(() => this.leaveAloneFor(BREAK_MS));
  }

  /** Lets no call begin for a time. */
  leaveAloneFor(ms: number): void {
    this.#quietUntilMs = Math.max(this.#quietUntilMs, Date.now() + ms);
  }

  get freeCalls(): number {
    if (Date.now() < this.#quietUntilMs) return 0;
    const max = this.#breaker.state === CircuitState.Closed ? this.#callsMax : 1;
    return Math.max(max - this.#inProgress, 0);
  }

  get isSlow(): boolean {
    return this.#pace === 'slow';
  }

  get #callsMax(): number {
    return this.#pace === 'quick' ? ENDPOINT_CALLS_MAX : UNPROVEN_CALLS_MAX;
  }

  get #inProgress(): number {
    return ENDPOINT_CALLS_MAX - this.calls.executionSlots;
  }

  /** Tells whether the webhook may be forgotten. A slow or failing one is remembered for a while. */
  get isForgettable(): boolean {
    if (this.#inProgress > 0 || Date.now() < this.#quietUntilMs) return false;
    const isHealthy = !this.#hasFailed && !this.isSlow;
    return isHealthy || Date.now() - this.#lastCallMs > FORGOTTEN_MS;
  }

  async call(send: () => Promise<WebhookOutcome>): Promise<WebhookOutcome> {
    this.#lastCallMs = Date.now();
    const outcome = await this.#breaker.execute(send);
    this.#hasFailed = isFailure(outcome);
    this.#pace = outcome.durationMs < SLOW_MS ? 'quick' : 'slow';
    return outcome;
  }
}

/** Tells whether a call did not begin, because the limits have changed since it was planned. */
export function isFull(error: unknown): boolean {
  return error instanceof BulkheadRejectedError;
}

/** A webhook, and the number of its calls that may begin. */
export interface FreeCalls {
  readonly key: EndpointKey;
  readonly count: number;
}

/** The limits of all webhooks that this process calls. */
export class Endpoints {
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #organizations = new Map<string, BulkheadPolicy>();
  readonly #all = bulkhead(CALLS_MAX);
  readonly #slow = bulkhead(SLOW_CALLS_MAX);

  /** Returns the webhooks that may be called now, in the given order. All of the calls may begin together. */
  freeCalls(keys: Iterable<EndpointKey>, webhooksMax: number): FreeCalls[] {
    const free: FreeCalls[] = [];
    const taken = new Map<string, number>();
    let left = this.#all.executionSlots;
    let leftForSlow = this.#slow.executionSlots;
    for (const key of keys) {
      const { webhookId, organizationId } = key;
      const takenOfOrganization = taken.get(organizationId) ?? 0;
      const slots =
        this.#organizations.get(organizationId)?.executionSlots ?? ORGANIZATION_CALLS_MAX;
      const endpoint = this.#endpoints.get(webhookId);
      const isSlow = endpoint?.isSlow === true;
      const count = Math.min(
        endpoint?.freeCalls ?? UNPROVEN_CALLS_MAX,
        slots - takenOfOrganization,
        isSlow ? leftForSlow : left,
        left,
      );
      if (count <= 0) continue;
      free.push({ key, count });
      taken.set(organizationId, takenOfOrganization + count);
      left -= count;
      if (isSlow) leftForSlow -= count;
      if (left === 0 || free.length === webhooksMax) break;
    }
    return free;
  }

  /**
   * Runs work that occupies a call of a webhook until it ends. Callers have found a free call just before.
   * @param work receives the function that sends through the circuit breaker. The function returns undefined if the
   *   breaker has opened meanwhile, and nothing was sent
   */
  async occupy(
    { webhookId, organizationId }: EndpointKey,
    work: (call: GuardedCall) => Promise<void>,
  ): Promise<void> {
    const endpoint = getOrMake(this.#endpoints, webhookId, () => new Endpoint());
    const organization = getOrMake(this.#organizations, organizationId, () =>
      bulkhead(ORGANIZATION_CALLS_MAX),
    );
    const ofEndpoint = () =>
      endpoint.calls.execute(() => work((send) => guard(endpoint.call(send))));
    const ofPace = endpoint.isSlow ? () => this.#slow.execute(ofEndpoint) : ofEndpoint;
    try {
      await this.#all.execute(() => organization.execute(ofPace));
    } finally {
      if (organization.executionSlots === ORGANIZATION_CALLS_MAX) {
        this.#organizations.delete(organizationId);
      }
    }
  }

  /** Lets no call of a webhook begin for a time, because its receiver asked for that. */
  leaveAlone({ webhookId }: EndpointKey, ms: number): void {
    this.#endpoints.get(webhookId)?.leaveAloneFor(Math.min(ms, LEAVE_ALONE_MAX_MS));
  }

  /** Forgets the webhooks of which there is nothing to remember. */
  forgetIdle(): void {
    for (const [id, endpoint] of this.#endpoints) {
      if (endpoint.isForgettable) this.#endpoints.delete(id);
    }
  }
}

/** Sends through a circuit breaker. @returns undefined if nothing was sent */
export type GuardedCall = (
  send: () => Promise<WebhookOutcome>,
) => Promise<WebhookOutcome | undefined>;

async function guard(call: Promise<WebhookOutcome>): Promise<WebhookOutcome | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof BrokenCircuitError) return undefined;
    throw error;
  }
}

function getOrMake<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}
