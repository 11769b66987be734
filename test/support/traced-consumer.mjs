/**
 * A service that uses OpenTelemetry, and consumes the events of AMQP_URL with the consumer package. Its handler makes a
 * span of its own. COLLECTOR is the base URL of the collector.
 */
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { consume } from '../../clients/consumer/dist/index.js';

const { AMQP_URL, QUEUE, COLLECTOR } = process.env;

const exporter = new OTLPTraceExporter({ url: `${COLLECTOR}/v1/traces` });
const provider = new TracerProvider({
  spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 100 })],
});
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
trace.setGlobalTracerProvider(provider);

const consumer = await consume(
  { url: AMQP_URL, queue: QUEUE, retry: { delaysMs: [10] } },
  async (_event, { attempt }) => {
    trace.getTracer('service').startSpan('book').end();
    if (attempt === 1) throw new RangeError('The first attempt fails');
  },
);
await consumer.ready;
console.log('ready');
