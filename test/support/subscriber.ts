import { createClient } from 'graphql-ws';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';

/** A front end that subscribes over a WebSocket. */
export interface Subscriber {
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the test asserts
  readonly events: any[];
  /** Close codes of the connections. */
  readonly closeCodes: number[];
  readonly errors: unknown[];
  /** Drops the connection as a network failure does. */
  drop(): void;
  /** Stops reading from the connection. */
  pause(): void;
  /** Reads on, and tells whether the connection was closed. */
  isCut(): boolean;
}

/** Time without reading, which is longer than a server waits for a client. */
const STILL_MS = 22_000;

export function subscribe(
  url: string,
  query: string,
  variables: Record<string, unknown> = {},
  token?: string,
): Subscriber {
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the test asserts
  const events: any[] = [];
  const closeCodes: number[] = [];
  const errors: unknown[] = [];
  let socket: WebSocket | undefined;
  let pausedAt = 0;
  const client = createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    ...(token !== undefined && { connectionParams: { authorization: `Bearer ${token}` } }),
    on: {
      opened: (opened) => {
        socket = opened as WebSocket;
      },
      closed: (event) => closeCodes.push((event as { code: number }).code),
    },
  });
  client.subscribe(
    { query, variables },
    {
      next: (result) => {
        if (result.errors) errors.push(...result.errors);
        else events.push(Object.values(result.data ?? {})[0]);
      },
      error: (error) => {
        if (Array.isArray(error)) errors.push(...error);
      },
      complete: () => {},
    },
  );
  onTestFinished(async () => {
    await client.dispose();
  });
  return {
    events,
    closeCodes,
    errors,
    drop: () => socket?.terminate(),
    pause: () => {
      pausedAt = Date.now();
      socket?.pause();
    },
    isCut: () => {
      if (closeCodes.length > 0) return true;
      if (Date.now() - pausedAt > STILL_MS) socket?.resume();
      return false;
    },
  };
}

/** Returns the number of subscriptions in the metrics of a server. */
export async function subscriptionCount(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return Number(/^virement_subscriptions (\d+)$/m.exec(metrics)?.[1]);
}
