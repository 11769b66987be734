/**
 * What every operation passes before it runs, over HTTP, WebSocket and server-sent events alike:
 *
 *   open    one unit from the caller's bucket, the trusted text, tokens and shape: before validation
 *   charge  cost, and the rest of it from the bucket: after validation, before execution
 *   begin   for a subscription, charge and a place among its caller's
 *
 * and a WebSocket connection before it is one: connect.
 */
import { type DocumentNode, type GraphQLSchema, getOperationAST } from 'graphql';
import type { ResolvedOperation } from '../../resolvers/idempotency-key.js';
import { costOf } from './operation-cost.js';
import { fragmentsOf, judgeShape, type ShapeLimits } from './operation-shape.js';
import { Places, type Release } from './places.js';
import { isRefusal, type Refusal } from './refusal.js';
import { type RateLimit, TokenBuckets } from './token-buckets.js';
import type { DocumentRequest, TrustedDocuments } from './trusted-documents.js';

export interface GateSettings extends ShapeLimits, RateLimit {
  readonly operationCostMax: number;
  readonly websocketConnectionsMax: number;
  readonly websocketConnectionsPerCallerMax: number;
  readonly subscriptionsPerCallerMax: number;
}

/** extensions.cost of an HTTP response. */
export interface Cost {
  readonly requested: number;
  /** What is left in the caller's bucket; null where there is no rate limit. */
  readonly left: number | null;
}

/** What any request takes from the bucket, refused ones too. */
const REQUEST_COST = 1;

/** Documents whose shape is remembered to be within the limits: clients send the same ones. */
const REMEMBERED_MAX = 1_000;
const REMEMBERED_CHARACTERS_MAX = 10_000;

/** Before a place is likely to be free again. */
const PLACE_RETRY_S = 10;

/** The operation that a request names, with all that belongs to it; undefined where there is none. */
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

export class OperationGate {
  readonly #buckets: TokenBuckets | undefined;
  readonly #connections: Places;
  readonly #subscriptions: Places;
  readonly #withinLimits = new Set<string>();

  constructor(
    readonly schema: GraphQLSchema,
    readonly settings: GateSettings,
    readonly trusted: TrustedDocuments,
  ) {
    if (settings.rateLimitCostPerSecond > 0) this.#buckets = new TokenBuckets(settings);
    this.#connections = new Places(
      settings.websocketConnectionsPerCallerMax,
      settings.websocketConnectionsMax,
    );
    this.#subscriptions = new Places(settings.subscriptionsPerCallerMax);
  }

  /** @returns the text to run; undefined where the request has none, which its handler says better */
  open(request: DocumentRequest, caller: string): string | undefined | Refusal {
    const left = this.#take(caller, REQUEST_COST);
    if (isRefusal(left)) return left;
    const text = this.trusted.textOf(request);
    if (text === undefined || isRefusal(text)) return text;
    return this.#judge(text) ?? text;
  }

  charge(operation: ResolvedOperation, caller: string): Cost | Refusal {
    const requested = costOf(this.schema, operation);
    const limit = this.settings.operationCostMax;
    if (requested > limit) {
      const message = `An operation may cost ${limit}: ask for less, or for smaller pages.`;
      return { code: 'TOO_EXPENSIVE', message, limit, requested };
    }
    const left = this.#take(caller, requested - REQUEST_COST);
    return isRefusal(left) ? left : { requested, left };
  }

  /** @returns ends the subscription's place */
  begin(operation: ResolvedOperation, caller: string): Release | Refusal {
    const cost = this.charge(operation, caller);
    if (isRefusal(cost)) return cost;
    const limit = this.settings.subscriptionsPerCallerMax;
    return (
      this.#subscriptions.take(caller) ?? {
        code: 'TOO_MANY_SUBSCRIPTIONS',
        message: `A caller has ${limit} subscriptions at most.`,
        limit,
        retryAfterSeconds: PLACE_RETRY_S,
      }
    );
  }

  /** @returns ends the connection's place */
  connect(caller: string): Release | Refusal {
    return (
      this.#connections.take(caller) ?? {
        code: 'TOO_MANY_CONNECTIONS',
        message: 'There are too many connections.',
        retryAfterSeconds: PLACE_RETRY_S,
      }
    );
  }

  #take(caller: string, units: number): number | null | Refusal {
    if (!this.#buckets) return null;
    const taking = this.#buckets.take(caller, units);
    if (taking.isTaken) return taking.left;
    const { retryAfterSeconds } = taking;
    const message = `Too fast: try again in ${retryAfterSeconds} s.`;
    return { code: 'RATE_LIMITED', message, retryAfterSeconds };
  }

  #judge(text: string): Refusal | undefined {
    if (this.#withinLimits.has(text)) return undefined;
    const refusal = judgeShape(text, this.settings);
    if (!refusal && text.length <= REMEMBERED_CHARACTERS_MAX) {
      if (this.#withinLimits.size >= REMEMBERED_MAX) this.#withinLimits.clear();
      this.#withinLimits.add(text);
    }
    return refusal;
  }
}
