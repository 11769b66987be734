/**
 * Exports spans by OTLP over HTTP, to any collector. This module is loaded only if an endpoint is set, because it reads
 * some forty files.
 */
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions';
import { VERSION } from '../../files.js';
import { beginTracing } from './tracing.js';

/** The time for the last spans to be sent when the server stops. */
const STOP_MAX_MS = 2_000;

export interface TraceExportSettings {
  /** The base URL of the collector, such as http://127.0.0.1:4318. */
  readonly endpoint: string;
  /** Headers of each export, such as a credential. */
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
  /** The share of traces that begin here and are recorded, from 0 to 1. */
  readonly share: number;
}

/** Starts to export spans. @returns the function that sends the last spans and stops */
export function exportTraces({
  endpoint,
  headers,
  serviceName,
  share,
}: TraceExportSettings): () => Promise<void> {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/$/, '')}/v1/traces`,
    headers: { ...headers },
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      [ATTR_SERVICE_NAME]: serviceName,
      [ATTR_SERVICE_VERSION]: VERSION,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  beginTracing();
  return async () => {
    const late = new Promise<void>((resolve) => setTimeout(resolve, STOP_MAX_MS).unref());
    await Promise.race([provider.shutdown().catch(() => {}), late]);
  };
}
