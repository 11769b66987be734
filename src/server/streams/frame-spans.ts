/**
 * Makes the last span of a trace: an event goes out to a subscriber. A bulk may have thousands of events for each
 * subscriber, so a span is made for the first event of a commit alone.
 */
import {
  type Attributes,
  contextOf,
  SpanKind,
  startSpan,
} from '../../infrastructure/observability/tracing.js';
import type { OperationRecord } from '../operation-record.js';

/** The spans of one subscription. */
export class FrameSpans {
  #last: string | undefined;

  constructor(private readonly record: Pick<OperationRecord, 'field' | 'transport'>) {}

  /**
   * Sends an event, in a span if it is the first one of its commit.
   * @param traceparent the trace of the event; undefined if it has none
   * @param send returns a promise if it has to wait for the client
   */
  trace(
    traceparent: string | undefined,
    send: () => Promise<void> | undefined,
  ): Promise<void> | undefined {
    if (traceparent === undefined || traceparent === this.#last) return send();
    this.#last = traceparent;
    const { field, transport } = this.record;
    const attributes: Attributes = {
      'graphql.operation.type': 'subscription',
      'network.protocol.name': transport,
    };
    const parent = contextOf(traceparent);
    const span = startSpan(`send ${field}`, { kind: SpanKind.PRODUCER, parent, attributes });
    const sending = send();
    if (!sending) span.end();
    return sending?.finally(() => span.end());
  }
}
