/**
 * Subscriptions that resume on their own. Each connection begins a subscription with the newest cursor,
 * so what happened while there was none comes first: no event is missing, and none comes twice.
 *
 * A subscription that is told no cursor begins now. So that it can resume before its first event, it
 * begins after the list's newest node. Where the list is empty there is nothing to begin after: until the
 * list has its first node, it is read now and then.
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
  /** The cursor of the last item that was taken; absent: from now on. */
  readonly after?: string;
  /** Ends the items, without an error. */
  readonly signal?: AbortSignal;
}

/** One kind of subscription: the way to begin it, and the way to tell its items apart. */
export interface Course<Event> {
  /** @param place where the last item stood */
  readonly payloadAfter: (place: string | undefined) => OperationPayload;
  readonly eventOf: (data: NonNullable<StreamResult['data']>) => Event;
  /** Returns the cursor of an event. */
  readonly placeOf: (event: Event) => string;
  /** Tells whether an event came before. Subscriptions that begin with the present state repeat it. */
  readonly isRepeated?: (event: Event, place: string | undefined) => boolean;
  /** Finds the place to begin when there is no cursor: behind the newest event, or at the first one ever. */
  readonly begin?: (signal: AbortSignal) => Promise<Start<Event>>;
}

export interface Start<Event> {
  readonly place: string;
  /** The event at the place, if it is new to the caller. */
  readonly event?: Event;
}

/** Yields events until the signal is aborted, `return()` is called, or an error is definite. */
export function follow<Event>(
  connection: Connection,
  transport: Transport,
  course: Course<Event>,
  { after, signal }: FollowOptions = {},
): AsyncIterableIterator<Event> {
  const stop = new AbortController();
  const ended = signal ? AbortSignal.any([stop.signal, signal]) : stop.signal;
  const events = eventsOf(connection, transport, course, after, ended);
  return {
    next: () => events.next(),
    // A generator that waits does not hear that it is to end: the signal wakes it.
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
  course: Course<Event>,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Event, undefined, undefined> {
  const policy = connection.newRetryPolicy();
  let place = after;
  while (!signal.aborted) {
    try {
      if (place === undefined && course.begin) {
        const start = await course.begin(signal);
        place = start.place;
        if (start.event !== undefined) yield start.event;
      }
      for await (const event of eventsAfter(transport, course, place, { policy, signal })) {
        place = course.placeOf(event);
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

/** Yields what comes over one connection. */
async function* eventsAfter<Event>(
  transport: Transport,
  course: Course<Event>,
  place: string | undefined,
  { policy, signal }: { readonly policy: RetryPolicy; readonly signal: AbortSignal },
): AsyncGenerator<Event, void, undefined> {
  const options = { signal, onAccepted: () => policy.accepted() };
  for await (const result of transport.open(course.payloadAfter(place), options)) {
    const [error] = result.errors ?? [];
    if (error) throw errorOf(error);
    if (!result.data) throw new VirementError('PROTOCOL_ERROR', 'An event has no data.');
    policy.succeeded();
    const event = course.eventOf(result.data);
    if (!course.isRepeated?.(event, place)) yield event;
  }
}

/** Reads the newest node's place; where the list has no node, waits for the first one. */
export async function beginWith<Node>(
  readPage: ReadPage<Node>,
  signal: AbortSignal,
): Promise<Start<Item<Node>>> {
  const [newest] = (await readPage({ first: 1 }, signal)).edges;
  if (newest) return { place: newest.cursor };
  for (;;) {
    await sleep(EMPTY_LIST_MS, signal);
    // Newest first: the last node is the oldest.
    const [oldest] = (await readPage({ last: 1 }, signal)).edges;
    if (oldest) return { place: oldest.cursor, event: oldest };
  }
}
