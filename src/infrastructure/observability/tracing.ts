/**
 * Spans of OpenTelemetry. They follow a request through its phases, its SQL statements and its events. Spans are made
 * only while they are exported: see trace-export.ts. Otherwise the API's own tracer makes none.
 *
 * A span has no value that a client sent, except the name of an operation.
 */
import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { VERSION } from '../../files.js';

export { type Attributes, type Context, type Link, type Span, SpanKind };

const tracer = trace.getTracer('virement', VERSION);

let isExporting = false;

/** Notes that spans are exported from now on. */
export function beginTracing(): void {
  isExporting = true;
}

/** Tells whether spans are exported, so that it is worth while to look for their parents. */
export function isTracing(): boolean {
  return isExporting;
}

export interface SpanOptions {
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  readonly links?: Link[];
  /** In milliseconds since 1970. The default is now. */
  readonly startTime?: number;
  /** The context of the parent. The default is the active context. */
  readonly parent?: Context;
}

/** Runs work in a span, which ends with the work. */
export function inSpan<Result>(
  name: string,
  { parent = context.active(), ...options }: SpanOptions,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  return tracer.startActiveSpan(name, options, parent, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      noteError(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Starts a span, which the caller ends. */
export function startSpan(
  name: string,
  { parent = context.active(), ...options }: SpanOptions = {},
): Span {
  return tracer.startSpan(name, options, parent);
}

/** Returns the active context, for work that begins elsewhere. */
export function activeContext(): Context {
  return context.active();
}

/** Returns the active context with a span as the active one. */
export function contextWith(span: Span): Context {
  return trace.setSpan(context.active(), span);
}

/** Runs work in a context. */
export function inContext<Result>(active: Context, work: () => Result): Result {
  return context.with(active, work);
}

/** Adds attributes to the active span. */
export function describeActiveSpan(attributes: Attributes): void {
  trace.getActiveSpan()?.setAttributes(attributes);
}

/** Marks a span as failed. Messages of errors may contain what a client sent, so only the kind is kept. */
function noteError(span: Span, error: unknown): void {
  const type = error instanceof Error ? error.name : typeof error;
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** Returns the link to a span; none if the span is not recorded. */
export function linksTo(contexts: readonly Context[]): Link[] {
  return contexts.flatMap((each) => {
    const linked = trace.getSpanContext(each);
    return linked && isSpanContextValid(linked) ? [{ context: linked }] : [];
  });
}

/** Returns the context of a trace of W3C's format, for a span that continues the trace; the root without one. */
export function contextOf(traceparent: string | null): Context {
  return traceparent === null ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { traceparent });
}

/** Returns the active span in W3C's format; undefined if none is recorded. */
export function activeTraceparent(): string | undefined {
  const active = activeSpanContext();
  return active && traceparentOf(active);
}

/** Returns the id of the active trace; undefined if there is none. */
export function activeTraceId(): string | undefined {
  return activeSpanContext()?.traceId;
}

/** The labels of an exemplar, which leads from a metric to a trace. */
export type Exemplar = Readonly<Record<string, string>>;

/** Returns the exemplar of the active span; without labels if the span is not recorded. */
export function activeExemplar(): Exemplar {
  const traceId = isTraced() ? activeTraceId() : undefined;
  return traceId === undefined ? {} : { trace_id: traceId };
}

function activeSpanContext(): SpanContext | undefined {
  const active = trace.getActiveSpan()?.spanContext();
  return active && isSpanContextValid(active) ? active : undefined;
}

/** Tells whether the active span is recorded, so that its children are. */
export function isTraced(): boolean {
  return trace.getActiveSpan()?.isRecording() === true;
}

function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
