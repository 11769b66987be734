import type { OperationPayload } from './document.js';
import type { GraphQLErrorLike } from './errors.js';

/** One event of a subscription, as GraphQL gives it. */
export interface StreamResult {
  readonly data?: Readonly<Record<string, unknown>> | null | undefined;
  readonly errors?: readonly GraphQLErrorLike[] | undefined;
}

export interface StreamOptions {
  /** Ends the stream. */
  readonly signal: AbortSignal;
  /** Called when the server has accepted the credential. */
  readonly onAccepted: () => void;
}

/**
 * A transport of subscriptions. Each call opens its own connection and never reopens it. A library that reopens a
 * connection would send the first cursor again, and so receive every event since then again.
 */
export interface Transport {
  /** Yields results until the connection ends. It then throws a VirementError with the reason. */
  open(payload: OperationPayload, options: StreamOptions): AsyncIterable<StreamResult>;
}
