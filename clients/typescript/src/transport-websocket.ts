/** Subscriptions over WebSocket, by graphql-ws's client: one connection for each, opened once. */
import { createClient } from 'graphql-ws/client';
import type { Connection } from './connection.js';
import { errorOf, networkErrorOf, VirementError } from './errors.js';
import { EventQueue } from './event-queue.js';
import type { StreamResult, Transport } from './transport.js';

/** The interval between pings, which find a connection that a network dropped silently. */
const PING_MS = 15_000;

/** The time that the answer to a ping may take. */
const PONG_MAX_MS = 15_000;

/** The time that the server may take to accept the credential. */
const ACCEPTED_MAX_MS = 15_000;

/** Events that came and were not taken yet. A WebSocket can not be slowed down, only closed. */
const WAITING_MAX = 1_000;

/** Close codes for a credential that the server does not know, or knows no more. */
const REJECTED_CODES: readonly number[] = [4401, 4403];

/** Close codes after which the same messages would be refused again. */
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
            // graphql-ws would open a connection that was closed in order once more.
            unsubscribe();
          },
        },
      });
      const unsubscribe = client.subscribe<Record<string, unknown>>(
        // graphql-ws takes whatever is beside the text along: documentId, too.
        { query, ...payload },
        {
          next: (result) => {
            queue.push(result as StreamResult);
            if (queue.length < WAITING_MAX) return;
            queue.end(new VirementError('STREAM_ENDED', 'More events came than were taken.'));
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
