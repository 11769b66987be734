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
  /** Is called when the server has taken the credential. */
  readonly onAccepted: () => void;
}

/**
 * A way for subscriptions to travel. Each call opens a connection of its own and never opens it again:
 * a connection that a library repeats would send the first cursor again, and every event since.
 */
export interface Transport {
  /** Yields what comes until the connection ends; throws a VirementError that says why it did. */
  open(payload: OperationPayload, options: StreamOptions): AsyncIterable<StreamResult>;
}
