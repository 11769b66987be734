/**
 * Subscriptions over WebSocket, by the client of graphql-ws. Each subscription has its own connection, which is
 * opened once.
 */
import { createClient } from 'graphql-ws/client';
import type { Connection } from './connection.js';
import { errorOf, networkErrorOf, VirementError } from './errors.js';
import { EventQueue } from './event-queue.js';
import type { StreamResult, Transport } from './transport.js';

/** The interval between pings. Pings find a connection that a network dropped silently. */
const PING_MS = 15_000;

/** The longest time until the answer to a ping. */
const PONG_MAX_MS = 15_000;

/** The longest time until the server accepts the credential. */
const ACCEPTED_MAX_MS = 15_000;

/** The largest number of received events that are not taken yet. A WebSocket cannot be slowed down, only closed. */
const WAITING_MAX = 1_000;

/** The close codes for a credential that the server does not know, or no longer knows. */
const REJECTED_CODES: readonly number[] = [4401, 4403];

/** The close codes after which the same messages would be refused again. */
const DEFINITE_CODES: readonly number[] = [1002, 1003, 1007, 1008, 1009, 4400, 4406, 4409, 4429];

export function webSocketTransport(connection: Connection, webSocket: unknown): Transport {
  const url = connection.url.replace(/^http/, 'ws');
  return {
    async *open({ query = '', ...payload }, { signal, onAccepted }) {
      const authorization = await connection.authorization();
      if (signal.aborted) return;
      const queue = new EventQueue<StreamResult>();
      let pongWatch: ReturnType<typeof setTimeout> | undefined;
      const client = createClient({
        url,
        webSocketImpl: webSocket,
        retryAttempts: 0,
        connectionParams: authorization === undefined ? {} : { authorization },
        connectionAckWaitTimeout: ACCEPTED_MAX_MS,
        keepAlive: PING_MS,
        on: {
          connected: onAccepted,
          ping: (isFromServer) => {
            if (!isFromServer) pongWatch = setTimeout(() => client.terminate(), PONG_MAX_MS);
          },
          pong: (isFromServer) => {
            if (isFromServer) clearTimeout(pongWatch);
          },
          closed: (event) => {
            clearTimeout(pongWatch);
            queue.end(closeErrorOf(event));
            // graphql-ws would reopen a connection that was closed normally.
            unsubscribe();
          },
        },
      });
      const unsubscribe = client.subscribe<Record<string, unknown>>(
        // graphql-ws also sends the fields next to the query, such as documentId.
        { query, ...payload },
        {
          next: (result) => {
            queue.push(result as StreamResult);
            if (queue.length < WAITING_MAX) return;
            queue.end(
              new VirementError(
                'STREAM_ENDED',
                'The program reads events too slowly: too many are waiting.',
              ),
            );
            unsubscribe();
          },
          error: (reason) => queue.end(streamErrorOf(reason)),
          complete: () => queue.end(),
        },
      );
      const abort = () => queue.clear();
      signal.addEventListener('abort', abort, { once: true });
      try {
        yield* queue.take();
      } finally {
        signal.removeEventListener('abort', abort);
        unsubscribe();
        clearTimeout(pongWatch);
      }
    },
  };
}

/** Converts an error of a graphql-ws sink: the server's errors, a close event, or an error of the socket. */
function streamErrorOf(reason: unknown): VirementError {
  if (Array.isArray(reason) && reason[0]) return errorOf(reason[0]);
  return closeErrorOf(reason);
}

function closeErrorOf(event: unknown): VirementError {
  if (!isCloseEvent(event)) return networkErrorOf(event);
  const { code, reason } = event;
  const message = `The server closed the connection: ${code} ${reason}`.trim();
  if (REJECTED_CODES.includes(code)) return new VirementError('UNAUTHENTICATED', message);
  if (DEFINITE_CODES.includes(code)) return new VirementError('PROTOCOL_ERROR', message);
  return new VirementError('NETWORK_ERROR', message);
}

function isCloseEvent(
  reason: unknown,
): reason is { readonly code: number; readonly reason: string } {
  return (
    typeof reason === 'object' &&
    reason !== null &&
    'code' in reason &&
    typeof reason.code === 'number'
  );
}
