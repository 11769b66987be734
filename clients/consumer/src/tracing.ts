/**
 * Continues the trace of an event while it is processed, for services that use OpenTelemetry. The API makes no spans
 * until the service has registered an SDK. Names and attributes follow the semantic conventions for messaging.
 */
import { propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Message } from 'amqplib';

const tracer = trace.getTracer('@virement/consumer');

/** Processes a delivery in a span, in which the handler's own spans are. Rejects as the work does. */
export function inProcessSpan(
  { properties }: Message,
  { queue, attempt }: { readonly queue: string; readonly attempt: number },
  work: () => Promise<void>,
): Promise<void> {
  const parent = propagation.extract(ROOT_CONTEXT, properties.headers ?? {});
  const options = {
    kind: SpanKind.CONSUMER,
    attributes: {
      'messaging.system': 'rabbitmq',
      'messaging.operation.type': 'process',
      'messaging.operation.name': 'process',
      'messaging.destination.name': queue,
      'messaging.message.id': properties.messageId,
      'virement.attempt': attempt,
    },
  };
  return tracer.startActiveSpan(`process ${queue}`, options, parent, async (span) => {
    try {
      await work();
    } catch (error) {
      // The message of an error may contain personal data.
      span.setAttribute('error.type', error instanceof Error ? error.name : typeof error);
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}
