/** The ids of the request that is being served, for logs and events. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { activeTraceparent } from './tracing.js';

interface RequestScope {
  readonly requestId: string;
  /** The trace context in W3C's format, or null. */
  readonly traceparent: string | null;
}

const scope = new AsyncLocalStorage<RequestScope>();

/** W3C Trace Context, version 00. Later versions contain its fields. */
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

export interface RequestIds {
  readonly requestId: string;
  /** The raw header of a request; a malformed header counts as absent. */
  readonly traceparent: unknown;
}

/** Runs the work of a request in its scope. */
export function inRequestScope<Result>(ids: RequestIds, work: () => Result): Result {
  const { requestId, traceparent } = ids;
  const isValid = typeof traceparent === 'string' && TRACEPARENT.test(traceparent);
  return scope.run({ requestId, traceparent: isValid ? traceparent : null }, work);
}

/** Returns the trace context of the request that is being served: the active span's, or else the request's own. */
export function currentTraceparent(): string | null {
  return activeTraceparent() ?? scope.getStore()?.traceparent ?? null;
}

/** Returns the id of the request that is being served; undefined outside a request. */
export function currentRequestId(): string | undefined {
  return scope.getStore()?.requestId;
}
