import { AsyncLocalStorage } from 'node:async_hooks';

/** W3C Trace Context, version 00, the one that all others contain. */
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

const context = new AsyncLocalStorage<string | null>();

/** Runs work with the trace context that a request came with; a malformed one counts as none. */
export function withTraceparent<Result>(header: unknown, work: () => Result): Result {
  const isValid = typeof header === 'string' && TRACEPARENT.test(header);
  return context.run(isValid ? header : null, work);
}

/** The trace context of the request that is being served. */
export function currentTraceparent(): string | null {
  return context.getStore() ?? null;
}
