/**
 * Subscriptions that resume on their own. Each connection begins a subscription with the newest cursor, so the events
 * that were missed while disconnected come first. No event is missing, and no event comes twice.
 *
 * A subscription without a cursor begins now. It begins after the newest node of the list, so it can resume before
 * its first event. An empty list has no such node. The list is then read at intervals until it has its first node.
 */
import { sleep } from './backoff.js';
import type { Connection } from './connection.js';
import type { OperationPayload } from './document.js';
import { errorOf, VirementError } from './errors.js';
import type { Item, ReadPage } from './pages.js';
import type { RetryPolicy } from './retry-policy.js';
import type { StreamResult, Transport } from './transport.js';

/** The interval between reads of a list that has no node yet. */
const EMPTY_LIST_MS = 1_000;

export interface FollowOptions {
  /** The cursor of the last item that was taken; absent to begin now. */
  readonly after?: string;
  /** Ends the items without an error. */
  readonly signal?: AbortSignal;
}

/** One kind of subscription: the way to begin it, and the way to tell its items apart. */
export interface Resumable<Event> {
  /** @param place the place of the last item */
  readonly payloadAfter: (place: string | undefined) => OperationPayload;
  readonly eventOf: (data: NonNullable<StreamResult['data']>) => Event;
  /** Returns the cursor of an event. */
  readonly placeOf: (event: Event) => string;
  /** Tells whether an event is a repetition. Subscriptions that begin with the current state repeat it. */
  readonly isRepeated?: (event: Event, place: string | undefined) => boolean;
  /** Finds the place to begin without a cursor: after the newest event, or at the first event ever. */
  readonly begin?: (signal: AbortSignal) => Promise<Start<Event>>;
}

export interface Start<Event> {
  readonly place: string;
  /** The event at the place, if it is new to the caller. */
  readonly event?: Event;
}

/** Yields events until the signal is aborted, `return()` is called, or an error is permanent. */
export function follow<Event>(
  connection: Connection,
  transport: Transport,
  resumable: Resumable<Event>,
  { after, signal }: FollowOptions = {},
): AsyncIterableIterator<Event> {
  const stop = new AbortController();
  const ended = signal ? AbortSignal.any([stop.signal, signal]) : stop.signal;
  const events = eventsOf(connection, transport, resumable, after, ended);
  return {
    next: () => events.next(),
    // A waiting generator does not notice that it is to end. The signal wakes it.
    return: async () => {
      stop.abort();
      return events.return(undefined);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* eventsOf<Event>(
  connection: Connection,
  transport: Transport,
  resumable: Resumable<Event>,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Event, undefined, undefined> {
  const policy = connection.newRetryPolicy();
  let place = after;
  while (!signal.aborted) {
    try {
      if (place === undefined && resumable.begin) {
        const start = await resumable.begin(signal);
        place = start.place;
        if (start.event !== undefined) yield start.event;
      }
      for await (const event of eventsAfter(transport, resumable, place, { policy, signal })) {
        place = resumable.placeOf(event);
        yield event;
      }
      throw new VirementError('STREAM_ENDED', 'The server ended the subscription.');
    } catch (cause) {
      if (signal.aborted) return;
      if (!(cause instanceof VirementError)) throw cause;
      const delayMs = policy.delayAfter(cause);
      connection.onRetry(cause, delayMs);
      await sleep(delayMs, signal);
    }
  }
}

/** Yields the events of one connection. */
async function* eventsAfter<Event>(
  transport: Transport,
  resumable: Resumable<Event>,
  place: string | undefined,
  { policy, signal }: { readonly policy: RetryPolicy; readonly signal: AbortSignal },
): AsyncGenerator<Event, void, undefined> {
  const options = { signal, onAccepted: () => policy.accepted() };
  for await (const result of transport.open(resumable.payloadAfter(place), options)) {
    const [error] = result.errors ?? [];
    if (error) throw errorOf(error);
    if (!result.data) throw new VirementError('PROTOCOL_ERROR', 'An event has no data.');
    policy.succeeded();
    const event = resumable.eventOf(result.data);
    if (!resumable.isRepeated?.(event, place)) yield event;
  }
}

/** Reads the place of the newest node. If the list is empty, the function waits for the first node. */
export async function beginWith<Node>(
  readPage: ReadPage<Node>,
  signal: AbortSignal,
): Promise<Start<Item<Node>>> {
  const [newest] = (await readPage({ first: 1 }, signal)).edges;
  if (newest) return { place: newest.cursor };
  for (;;) {
    await sleep(EMPTY_LIST_MS, signal);
    // The list is newest first, so its last node is the oldest.
    const [oldest] = (await readPage({ last: 1 }, signal)).edges;
    if (oldest) return { place: oldest.cursor, event: oldest };
  }
}
