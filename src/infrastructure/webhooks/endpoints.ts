/**
 * The limits on calls of webhooks. One slow receiver must delay nobody else: each webhook, each organization and the
 * process have a number of calls that may be in progress at once (bulkheads). A webhook gets all of its calls while its
 * receiver answers quickly. The receivers that are slow, and those that have not been called yet, have a part of the
 * calls of their organization and of the process. A webhook whose calls fail in a row is left alone for a while, and
 * then tried with one call (circuit breaker).
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

/** The pace at which a receiver answered its last call. */
type Pace = 'unknown' | 'quick' | 'slow';

/** The largest number of calls of this process at once. */
export const CALLS_MAX = 400;

/** The largest numbers of calls at once of a webhook, by the pace of its receiver. */
const ENDPOINT_CALLS_MAX: Readonly<Record<Pace, number>> = { unknown: 1, quick: 20, slow: 5 };

/** The largest numbers of calls of this process at once to all receivers of a pace. */
const PACE_CALLS_MAX: Readonly<Record<Pace, number>> = {
  unknown: 200,
  quick: CALLS_MAX,
  slow: 100,
};

/** The largest number of calls of one organization at once, and of those to its receivers that are not quick. */
const ORGANIZATION_CALLS_MAX = 40;
const ORGANIZATION_UNPROVEN_CALLS_MAX = 10;

/** The duration of a call in milliseconds from which its receiver is slow. */
const SLOW_MS = 2_000;

/** The time without a call after which a receiver's pace is forgotten. */
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

/** The limits of one webhook. */
class Endpoint {
  readonly #breaker: CircuitBreakerPolicy;
  #quietUntilMs = 0;
  #lastCallMs = 0;
  #pace: Pace = 'unknown';
  readonly calls = bulkhead(ENDPOINT_CALLS_MAX.quick);

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
    const isClosed = this.#breaker.state === CircuitState.Closed;
    const max = isClosed ? ENDPOINT_CALLS_MAX[this.#pace] : 1;
    return Math.max(max - this.#inProgress, 0);
  }

  get pace(): Pace {
    return this.#pace;
  }

  get #inProgress(): number {
    return ENDPOINT_CALLS_MAX.quick - this.calls.executionSlots;
  }

  get isForgettable(): boolean {
    if (this.#inProgress > 0 || Date.now() < this.#quietUntilMs) return false;
    return Date.now() - this.#lastCallMs > FORGOTTEN_MS;
  }

  async call(send: () => Promise<WebhookOutcome>): Promise<WebhookOutcome> {
    this.#lastCallMs = Date.now();
    const outcome = await this.#breaker.execute(send);
    this.#pace = outcome.durationMs < SLOW_MS ? 'quick' : 'slow';
    return outcome;
  }
}

/** The calls of one organization. */
class Organization {
  readonly calls = bulkhead(ORGANIZATION_CALLS_MAX);
  readonly unprovenCalls = bulkhead(ORGANIZATION_UNPROVEN_CALLS_MAX);

  get isIdle(): boolean {
    return this.calls.executionSlots === ORGANIZATION_CALLS_MAX;
  }
}

/** Counts the calls that a plan gives away, by the scope that has a limit: an organization or a pace, for example. */
class Plan {
  readonly #taken = new Map<unknown, number>();

  /** @returns the number of calls of the scope that the plan may still give away */
  left(scope: BulkheadPolicy): number {
    return scope.executionSlots - (this.#taken.get(scope) ?? 0);
  }

  take(scope: BulkheadPolicy, count: number): void {
    this.#taken.set(scope, (this.#taken.get(scope) ?? 0) + count);
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
  readonly #organizations = new Map<string, Organization>();
  readonly #all = bulkhead(CALLS_MAX);
  readonly #paces: Readonly<Record<Pace, BulkheadPolicy>> = {
    unknown: bulkhead(PACE_CALLS_MAX.unknown),
    quick: bulkhead(PACE_CALLS_MAX.quick),
    slow: bulkhead(PACE_CALLS_MAX.slow),
  };

  /** Returns the webhooks that may be called now, in the given order. All of the calls may begin together. */
  freeCalls(keys: Iterable<EndpointKey>, webhooksMax: number): FreeCalls[] {
    const free: FreeCalls[] = [];
    const plan = new Plan();
    // An organization without calls in progress is not in the map: its limits must be the same object for all its webhooks.
    const idle = new Map<string, Organization>();
    for (const key of keys) {
      const { webhookId, organizationId } = key;
      const endpoint = this.#endpoints.get(webhookId);
      const organization =
        this.#organizations.get(organizationId) ??
        getOrMake(idle, organizationId, () => new Organization());
      const scopes = this.#scopesOf(endpoint?.pace ?? 'unknown', organization);
      const left = scopes.map((scope) => plan.left(scope));
      const count = Math.min(endpoint?.freeCalls ?? ENDPOINT_CALLS_MAX.unknown, ...left);
      if (count <= 0) continue;
      free.push({ key, count });
      for (const scope of scopes) plan.take(scope, count);
      if (plan.left(this.#all) === 0 || free.length === webhooksMax) break;
    }
    return free;
  }

  /** Returns the limits that apply to a call beside the webhook's own. */
  #scopesOf(pace: Pace, { calls, unprovenCalls }: Organization): BulkheadPolicy[] {
    const shared = [this.#all, this.#paces[pace], calls];
    return pace === 'quick' ? shared : [...shared, unprovenCalls];
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
    const organization = getOrMake(this.#organizations, organizationId, () => new Organization());
    const scopes = [endpoint.calls, ...this.#scopesOf(endpoint.pace, organization)];
    const occupied = scopes.reduce<() => Promise<void>>(
      (inner, scope) => () => scope.execute(inner),
      () => work((send) => guard(endpoint.call(send))),
    );
    try {
      await occupied();
    } finally {
      const isCurrent = this.#organizations.get(organizationId) === organization;
      if (organization.isIdle && isCurrent) this.#organizations.delete(organizationId);
    }
  }

  /** Lets no call of a webhook begin for a time, because its receiver asked for that. */
  leaveAlone({ webhookId }: EndpointKey, ms: number): void {
    this.#endpoints.get(webhookId)?.leaveAloneFor(Math.min(ms, LEAVE_ALONE_MAX_MS));
  }

  /** Forgets the webhooks that were not called for a while. */
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
