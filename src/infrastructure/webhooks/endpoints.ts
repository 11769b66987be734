/**
 * The limits on calls of webhooks. One slow receiver must delay nobody else: each webhook, each organization and the
 * process have a number of calls that may be in progress at once (bulkheads). A webhook whose calls fail in a row is
 * left alone for a while, and then tried with one call (circuit breaker).
 */
import {
  BrokenCircuitError,
  type BulkheadPolicy,
  bulkhead,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhenResult,
} from 'cockatiel';
import { isDelivered } from '../../domain/webhook.js';
import type { WebhookOutcome } from './webhook-sender.js';

/** The largest number of calls of one webhook at once. */
const ENDPOINT_CALLS_MAX = 20;

/** The largest number of calls of one organization at once. */
const ORGANIZATION_CALLS_MAX = 40;

/** The largest number of calls of this process at once. */
export const CALLS_MAX = 400;

/** The number of failures in a row after which a webhook is left alone. */
const FAILURES_MAX = 5;

/** The time for which a webhook is left alone. */
const BREAK_MS = 5_000;

/** The longest time for which a receiver's request concerns deliveries other than the one that it answered. */
const LEAVE_ALONE_MAX_MS = 300_000;

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
  #hasFailed = false;
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
    if (this.#breaker.state === CircuitState.Closed) return this.calls.executionSlots;
    const isTried = this.calls.executionSlots < ENDPOINT_CALLS_MAX;
    return isTried ? 0 : 1;
  }

  /** Tells whether the limits are those of a webhook that was never called. */
  get isNew(): boolean {
    return this.freeCalls === ENDPOINT_CALLS_MAX && !this.#hasFailed;
  }

  async call(send: () => Promise<WebhookOutcome>): Promise<WebhookOutcome> {
    const outcome = await this.#breaker.execute(send);
    this.#hasFailed = isFailure(outcome);
    return outcome;
  }
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

  /** Returns the webhooks that may be called now, in the given order. All of the calls may begin together. */
  freeCalls(keys: Iterable<EndpointKey>, webhooksMax: number): FreeCalls[] {
    const free: FreeCalls[] = [];
    const taken = new Map<string, number>();
    let left = this.#all.executionSlots;
    for (const key of keys) {
      const { webhookId, organizationId } = key;
      const takenOfOrganization = taken.get(organizationId) ?? 0;
      const slots =
        this.#organizations.get(organizationId)?.executionSlots ?? ORGANIZATION_CALLS_MAX;
      const count = Math.min(
        this.#endpoints.get(webhookId)?.freeCalls ?? ENDPOINT_CALLS_MAX,
        slots - takenOfOrganization,
        left,
      );
      if (count <= 0) continue;
      free.push({ key, count });
      taken.set(organizationId, takenOfOrganization + count);
      left -= count;
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
    await this.#all.execute(() =>
      organization.execute(() =>
        endpoint.calls.execute(() => work((send) => guard(endpoint.call(send)))),
      ),
    );
    if (organization.executionSlots === ORGANIZATION_CALLS_MAX) {
      this.#organizations.delete(organizationId);
    }
  }

  /** Lets no call of a webhook begin for a time, because its receiver asked for that. */
  leaveAlone({ webhookId }: EndpointKey, ms: number): void {
    this.#endpoints.get(webhookId)?.leaveAloneFor(Math.min(ms, LEAVE_ALONE_MAX_MS));
  }

  /** Forgets the webhooks that have neither calls in progress nor failures. */
  forgetNew(): void {
    for (const [id, endpoint] of this.#endpoints) if (endpoint.isNew) this.#endpoints.delete(id);
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
