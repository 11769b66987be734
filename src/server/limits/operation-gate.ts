/**
 * The checks that every operation passes before it runs, over HTTP, WebSocket and server-sent events alike:
 *
 *   receive units from the caller's bucket for the size of a body, before it is parsed
 *   open    at least one unit, the trusted text, tokens and shape, before validation
 *   charge  the remaining cost from the bucket, and the length of the answer, before execution
 *   begin   charge and one of its caller's places, for a subscription; its events pay for what they read
 *   spend   units for reads whose number is known only during execution
 *
 * The gate also checks a WebSocket connection before it is accepted: connect.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type DocumentNode, type GraphQLSchema, getOperationAST } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { ResolvedOperation } from '../../resolvers/idempotency-key.js';
import type { DocumentRequest, TrustedDocuments } from '../access/trusted-documents.js';
import { type ErrorResponse, isErrorResponse } from '../error-response.js';
import { Capacity, type Release } from './capacity.js';
import { estimateOf } from './operation-cost.js';
import { fragmentsOf, judgeShape, type ShapeLimits } from './operation-shape.js';
import { type RateLimit, TokenBuckets } from './token-buckets.js';

export interface GateSettings extends ShapeLimits, RateLimit {
  readonly operationCostMax: number;
  /** Limits the bytes of an answer, as far as they can be estimated before execution. */
  readonly answerBytesMax: number;
  readonly websocketConnectionsMax: number;
  readonly websocketConnectionsPerCallerMax: number;
  readonly subscriptionsPerCallerMax: number;
}

export interface BodySize {
  readonly bytes: number;
  /** The number of JSON values, as JsonScan counts them. */
  readonly values: number;
}

/** The value of extensions.cost in an HTTP response. */
export interface Cost {
  readonly requested: number;
  /** The units left in the caller's bucket; null if there is no rate limit. */
  readonly left: number | null;
}

/** The units that every request takes from the bucket, including refused requests. */
const REQUEST_COST = 1;

/** The bytes and the JSON values of a body that cost a unit each. Parsing them takes as long as reading some rows. */
const BODY_BYTES_PER_UNIT = 10_240;
const BODY_VALUES_PER_UNIT = 500;

/**
 * Limits the cache of document texts whose shape was within the limits. Each text is checked once, because clients
 * repeat the same texts.
 */
const KNOWN_TEXTS_MAX = 1_000;
const KNOWN_TEXT_CHARACTERS_MAX = 10_000;

/**
 * Limits the bytes of the texts and variables of subscriptions, which stay in memory, parsed, while the subscriptions
 * last. In memory they take some thirty times as many bytes.
 */
const SUBSCRIPTION_BYTES_PER_CALLER_MAX = 8 * 1_024 * 1_024;
const SUBSCRIPTION_BYTES_MAX = 32 * 1_024 * 1_024;

/** The bytes of text that take as much memory as one account that a subscription follows. */
const FOLLOWED_ACCOUNT_BYTES = 16;

/**
 * The part of a subscription's cost that its events do not have: its start, and the objects that come with an event.
 */
const COST_WITHOUT_EVENTS = 13;

/** The delay before an event of a caller without units is tried again. */
const EVENT_RETRY_MS = 250;

/** Returns the cost of an event without its transfer, bulk and account, which come with the event. */
function unitsPerEventOf(cost: number): number {
  return Math.max(cost - COST_WITHOUT_EVENTS, 0);
}

export interface StreamSize {
  /** Bytes of the subscription's text and variables. */
  readonly bytes: number;
  readonly unitsPaid?: number;
}

export interface StreamPlace {
  readonly release: Release;
  /**
   * Pays for the next event. Callers await this function before each event. It waits until the caller has the units for
   * the event's reads.
   */
  readonly payForEvent: () => Promise<void>;
  /**
   * Pays for the accounts that the subscription follows beside its first. Their memory stays reserved until the
   * release.
   */
  readonly followAccounts: (count: number) => ErrorResponse | undefined;
}

/** The delay after which a place is likely to be free again, in seconds. */
const PLACE_RETRY_S = 10;

/** Returns the operation that a request names, with its fragments and variables; undefined if there is none. */
export function resolveOperation(
  document: DocumentNode,
  operationName?: string | null,
  variables?: Readonly<Record<string, unknown>> | null,
): ResolvedOperation | undefined {
  const operation = getOperationAST(document, operationName);
  return operation
    ? { operation, fragments: fragmentsOf(document), variables: variables ?? {} }
    : undefined;
}

function tooExpensive(limit: number, requested: number): ErrorResponse {
  const message = `An operation may cost at most ${limit}: select fewer fields, or ask for smaller pages.`;
  return { code: 'TOO_EXPENSIVE', message, limit, requested };
}

export class OperationGate {
  readonly #buckets: TokenBuckets | undefined;
  readonly #connections: Capacity;
  readonly #subscriptions: Capacity;
  readonly #subscriptionBytes = new Capacity(
    SUBSCRIPTION_BYTES_PER_CALLER_MAX,
    SUBSCRIPTION_BYTES_MAX,
  );
  readonly #withinLimits = new LRUCache<string, true>({ max: KNOWN_TEXTS_MAX });

  constructor(
    readonly schema: GraphQLSchema,
    readonly settings: GateSettings,
    readonly trusted: TrustedDocuments,
  ) {
    if (settings.rateLimitCostPerSecond > 0) this.#buckets = new TokenBuckets(settings);
    this.#connections = new Capacity(
      settings.websocketConnectionsPerCallerMax,
      settings.websocketConnectionsMax,
    );
    this.#subscriptions = new Capacity(settings.subscriptionsPerCallerMax);
  }

  /** Returns the units that were taken for a body; 0 for a small body. */
  receive({ bytes, values }: BodySize, caller: string): number | ErrorResponse {
    const units =
      Math.floor(bytes / BODY_BYTES_PER_UNIT) + Math.floor(values / BODY_VALUES_PER_UNIT);
    const left = units > 0 ? this.#take(caller, units) : null;
    return isErrorResponse(left) ? left : units;
  }

  /**
   * @param unitsPaid units that were taken for the request before
   * @returns the text to run; undefined for a request without one, which its handler reports
   */
  open(
    request: DocumentRequest,
    caller: string,
    unitsPaid = 0,
  ): string | undefined | ErrorResponse {
    const left = this.#take(caller, Math.max(REQUEST_COST - unitsPaid, 0));
    if (isErrorResponse(left)) return left;
    const text = this.trusted.textOf(request);
    if (text === undefined || isErrorResponse(text)) return text;
    return this.#judge(text) ?? text;
  }

  charge(operation: ResolvedOperation, caller: string, unitsPaid = 0): Cost | ErrorResponse {
    const { cost, answerBytes } = estimateOf(this.schema, operation);
    const { operationCostMax, answerBytesMax } = this.settings;
    if (cost > operationCostMax) return tooExpensive(operationCostMax, cost);
    if (answerBytes > answerBytesMax) {
      const message = `An answer may have at most ${answerBytesMax} bytes: select fewer fields, or ask for smaller pages.`;
      const size = { limit: answerBytesMax, requested: answerBytes };
      return { code: 'ANSWER_TOO_LARGE', message, ...size };
    }
    const paid = Math.max(unitsPaid, REQUEST_COST);
    const requested = Math.max(cost, paid);
    const left = this.#take(caller, requested - paid);
    return isErrorResponse(left) ? left : { requested, left };
  }

  /** @param unitsBefore units that the operation has spent so far beside its cost */
  spend(units: number, caller: string, unitsBefore: number): ErrorResponse | undefined {
    const { operationCostMax } = this.settings;
    if (unitsBefore + units > operationCostMax) {
      return tooExpensive(operationCostMax, unitsBefore + units);
    }
    const left = this.#take(caller, units);
    return isErrorResponse(left) ? left : undefined;
  }

  /** Returns the place of a subscription, which also charges the cost of each event. */
  begin(
    operation: ResolvedOperation,
    caller: string,
    request: StreamSize,
  ): StreamPlace | ErrorResponse {
    const cost = this.charge(operation, caller, request.unitsPaid);
    if (isErrorResponse(cost)) return cost;
    const place = this.#subscriptions.take(caller);
    const memory = place && this.#subscriptionBytes.take(caller, request.bytes);
    if (!memory) {
      place?.();
      return this.#tooManySubscriptions();
    }
    const unitsPerEvent = unitsPerEventOf(estimateOf(this.schema, operation).cost);
    const kept = [place, memory];
    let isOver = false;
    return {
      release: () => {
        isOver = true;
        for (const release of kept) release();
      },
      followAccounts: (count) => {
        const left = this.#take(caller, count);
        if (isErrorResponse(left)) return left;
        const ofAccounts = this.#subscriptionBytes.take(caller, count * FOLLOWED_ACCOUNT_BYTES);
        if (!ofAccounts) return this.#tooManySubscriptions();
        if (isOver) ofAccounts();
        else kept.push(ofAccounts);
        return undefined;
      },
      payForEvent: () => this.pay(unitsPerEvent, caller, () => isOver),
    };
  }

  #tooManySubscriptions(): ErrorResponse {
    const limit = this.settings.subscriptionsPerCallerMax;
    return {
      code: 'TOO_MANY_SUBSCRIPTIONS',
      message: `A caller may have at most ${limit} subscriptions, and ${SUBSCRIPTION_BYTES_PER_CALLER_MAX} bytes for their texts, variables and accounts: end one first.`,
      limit,
      retryAfterSeconds: PLACE_RETRY_S,
    };
  }

  /**
   * Waits until a caller has paid, or its subscription or download has ended.
   * @param units more than the burst cost as much as the burst
   */
  async pay(units: number, caller: string, isOver: () => boolean): Promise<void> {
    while (units > 0 && !isOver()) {
      const left = this.#take(caller, Math.min(units, this.settings.rateLimitBurst));
      if (!isErrorResponse(left)) return;
      await sleep(EVENT_RETRY_MS);
    }
  }

  /** Returns a function that releases the connection's place. */
  connect(caller: string): Release | ErrorResponse {
    return (
      this.#connections.take(caller) ?? {
        code: 'TOO_MANY_CONNECTIONS',
        message: 'There are too many WebSocket connections: close one, or try again later.',
        retryAfterSeconds: PLACE_RETRY_S,
      }
    );
  }

  #take(caller: string, units: number): number | null | ErrorResponse {
    if (!this.#buckets) return null;
    const taking = this.#buckets.take(caller, units);
    if (taking.isTaken) return taking.left;
    const { retryAfterSeconds } = taking;
    const message = `The rate limit is exceeded: try again in ${retryAfterSeconds} s.`;
    return { code: 'RATE_LIMITED', message, retryAfterSeconds };
  }

  #judge(text: string): ErrorResponse | undefined {
    if (this.#withinLimits.has(text)) return undefined;
    const response = judgeShape(text, this.settings);
    if (!response && text.length <= KNOWN_TEXT_CHARACTERS_MAX) this.#withinLimits.set(text, true);
    return response;
  }
}
