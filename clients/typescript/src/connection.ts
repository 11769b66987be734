/** The connection that all parts of a client share: the server's address, the credential and the transport. */
import { VirementError } from './errors.js';
import { RetryPolicy } from './retry-policy.js';

export interface ClientOptions {
  /** The server's GraphQL endpoint: `https://bank.example/graphql`. */
  readonly url: string;
  /**
   * A token or an API key, or a function that returns one. The function is called for every request and connection.
   */
  readonly token?: string | (() => string | Promise<string>);
  /** The fetch function. The default is the global one. */
  readonly fetch?: typeof fetch;
  /** The WebSocket class, if there is no global one: `import { WebSocket } from 'ws'` on Node 20. */
  readonly webSocket?: unknown;
  /** The transport of subscriptions. The default is `websocket` if there is a WebSocket, else `sse`. */
  readonly transport?: 'websocket' | 'sse';
  /** Sends ids in place of texts, for servers that accept only trusted documents. */
  readonly trustedDocuments?: boolean;
  /** Receives each failure that is followed by another attempt, for logs and metrics. */
  readonly onRetry?: (error: VirementError, delayMs: number) => void;
}

export interface Connection {
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly trustedDocuments: boolean;
  /** @returns the value of the Authorization header */
  authorization(): Promise<string | undefined>;
  newRetryPolicy(): RetryPolicy;
  onRetry(error: VirementError, delayMs: number): void;
}

export function connectionOf(options: ClientOptions): Connection {
  const { url, token, trustedDocuments = false } = options;
  return {
    url: url.replace(/\/+$/, ''),
    // The fetch of browsers must be called without a `this`.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    trustedDocuments,
    authorization: async () => {
      if (token === undefined) return undefined;
      return `Bearer ${typeof token === 'string' ? token : await freshToken(token)}`;
    },
    newRetryPolicy: () => new RetryPolicy(typeof token === 'function'),
    onRetry: options.onRetry ?? (() => {}),
  };
}

async function freshToken(token: () => string | Promise<string>): Promise<string> {
  try {
    return await token();
  } catch (cause) {
    throw new VirementError(
      'TOKEN_UNAVAILABLE',
      'The token function failed, so there is no token to send.',
      { cause },
    );
  }
}
