/**
 * Subscriptions as server-sent events, by fetch. They pass proxies that break WebSocket, and need no WebSocket. An
 * event is read after the previous event has been taken, so a slow reader holds little memory.
 */
import { createParser } from 'eventsource-parser';
import type { Connection } from './connection.js';
import { networkErrorOf, VirementError } from './errors.js';
import { headersOf, refusalOf } from './request.js';
import type { StreamOptions, StreamResult, Transport } from './transport.js';

/**
 * The time without a byte after which the connection counts as dead. The server sends a byte at least every 12
 * seconds.
 */
const SILENCE_MAX_MS = 40_000;

/** The largest length of one event, in characters. */
const EVENT_LENGTH_MAX = 1_024 * 1_024;

export function serverSentEventsTransport(connection: Connection): Transport {
  return {
    async *open(payload, { signal, onAccepted }) {
      const authorization = await connection.authorization();
      const response = await connection
        .fetch(`${connection.url}/stream`, {
          method: 'POST',
          headers: headersOf(authorization, 'text/event-stream'),
          body: JSON.stringify(payload),
          signal,
        })
        .catch((cause) => {
          throw networkErrorOf(cause);
        });
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
      if (!response.ok || !isStream || !response.body) throw await refusalOf(response);
      onAccepted();
      yield* resultsOf(response.body, signal);
    },
  };
}

async function* resultsOf(
  body: ReadableStream<Uint8Array>,
  signal: StreamOptions['signal'],
): AsyncGenerator<StreamResult> {
  for await (const { event, data } of serverSentEventsOf(body, signal, SILENCE_MAX_MS)) {
    if (event === 'complete') return;
    if (event === 'next') yield parseEvent<StreamResult>(data);
  }
}

interface ServerSentEvent {
  readonly event?: string | undefined;
  readonly data: string;
}

/**
 * Yields the events of a stream, each after the previous event has been taken.
 * @throws VirementError if the connection ends, or is silent for too long
 */
export async function* serverSentEventsOf(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
  silenceMaxMs: number,
): AsyncGenerator<ServerSentEvent, never> {
  const events: ServerSentEvent[] = [];
  const parser = createParser({
    maxBufferSize: EVENT_LENGTH_MAX,
    onEvent: (event) => events.push(event),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') throw protocolError(error);
    },
  });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for (;;) {
      const bytes = await nextBytes(reader, silenceMaxMs);
      parser.feed(decoder.decode(bytes, { stream: true }));
      yield* events.splice(0);
    }
  } finally {
    signal.removeEventListener('abort', cancel);
    cancel();
  }
}

/** @throws VirementError if the connection has ended, or is silent for too long */
async function nextBytes(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  silenceMaxMs: number,
): Promise<Uint8Array> {
  let isSilent = false;
  const watch = setTimeout(() => {
    isSilent = true;
    void reader.cancel().catch(() => {});
  }, silenceMaxMs);
  try {
    const { value } = await reader.read();
    if (value) return value;
  } catch (cause) {
    throw networkErrorOf(cause);
  } finally {
    clearTimeout(watch);
  }
  const reason = isSilent ? 'no data arrived for too long' : 'the server ended it';
  throw new VirementError('NETWORK_ERROR', `The stream was interrupted: ${reason}.`);
}

/** Parses the data of an event. @throws VirementError if they are no JSON */
export function parseEvent<Content>(data: string): Content {
  try {
    return JSON.parse(data) as Content;
  } catch (cause) {
    throw protocolError(cause);
  }
}

function protocolError(cause: unknown): VirementError {
  return new VirementError(
    'PROTOCOL_ERROR',
    'An event does not follow the protocol of the stream.',
    { cause },
  );
}
