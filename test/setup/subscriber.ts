import { createClient } from 'graphql-ws';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';

/** A front end that subscribes over a WebSocket. */
export interface Subscriber {
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the test asserts
  readonly events: any[];
  /** Codes of the connections that were closed. */
  readonly closeCodes: number[];
  readonly errors: unknown[];
  /** Drops the connection, as a network does. */
  drop(): void;
}

export function subscribe(
  url: string,
  query: string,
  variables: Record<string, unknown> = {},
): Subscriber {
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the test asserts
  const events: any[] = [];
  const closeCodes: number[] = [];
  const errors: unknown[] = [];
  let socket: WebSocket | undefined;
  const client = createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
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
  return { events, closeCodes, errors, drop: () => socket?.terminate() };
}
