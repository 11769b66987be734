/** Events of a stream that are shown at once. */
const EVENTS_SHOWN_MAX = 20;

/** An event with the data of those before it, newest first. */
type WithLatest<Event> = Event & { readonly before?: readonly unknown[] };

/**
 * Gives each event of a stream with the latest ones before it, for GraphiQL shows the last result alone. The
 * stream ends when the caller returns: a generator would wait for the next event first.
 */
export function withLatest<Event extends { data?: unknown }>(
  events: AsyncIterable<Event>,
): AsyncIterableIterator<WithLatest<Event>> {
  const source = events[Symbol.asyncIterator]();
  const before: unknown[] = [];
  const remember = (event: Event): WithLatest<Event> => {
    const shown = before.length === 0 ? event : { ...event, before: [...before] };
    before.unshift(event.data);
    before.length = Math.min(before.length, EVENTS_SHOWN_MAX - 1);
    return shown;
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const { done, value } = await source.next();
      return done === true ? { done, value: undefined } : { done: false, value: remember(value) };
    },
    async return() {
      await source.return?.();
      return { done: true, value: undefined };
    },
  };
}
