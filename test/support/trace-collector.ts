/** A collector of OpenTelemetry on loopback, which reads OTLP over HTTP in protobuf (opentelemetry-proto, trace.proto). */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { onTestFinished } from 'vitest';

/** A span as a collector sees it. */
export interface CollectedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly id: string;
  readonly parentId: string | undefined;
  /** The ids of the spans that it links to. */
  readonly links: readonly string[];
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** Returns the names of a span and of what is above it, the span first. */
export function pathOf(span: CollectedSpan, spans: readonly CollectedSpan[]): string[] {
  const parent = spans.find(({ id }) => id === span.parentId);
  return [span.name, ...(parent ? pathOf(parent, spans) : [])];
}

export interface TraceCollector {
  readonly url: string;
  readonly spans: readonly CollectedSpan[];
  /** The headers of the last export. */
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Starts a collector, which stops when the test ends. */
export async function startCollector(): Promise<TraceCollector> {
  const spans: CollectedSpan[] = [];
  const collector = { url: '', spans, headers: {} };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const isCompressed = request.headers['content-encoding'] === 'gzip';
    spans.push(...spansOf(isCompressed ? gunzipSync(body) : body));
    collector.headers = request.headers;
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  collector.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return collector;
}

/** A field of a message: its number, and its bytes or its whole number. */
interface Field {
  readonly number: number;
  readonly bytes: Buffer;
  readonly value: bigint;
}

const NONE = Buffer.alloc(0);

/** Reads the fields of a message by the wire format of protobuf. */
function fieldsOf(message: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const readNumber = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(readNumber());
    const number = tag >> 3;
    switch (tag & 7) {
      case 0:
        fields.push({ number, bytes: NONE, value: readNumber() });
        break;
      case 1:
        fields.push({ number, bytes: message.subarray(at, at + 8), value: 0n });
        at += 8;
        break;
      case 2: {
        const length = Number(readNumber());
        fields.push({ number, bytes: message.subarray(at, at + length), value: 0n });
        at += length;
        break;
      }
      default:
        at += 4;
    }
  }
  return fields;
}

const all = (message: Buffer, number: number) =>
  fieldsOf(message)
    .filter((field) => field.number === number)
    .map(({ bytes }) => bytes);

const first = (message: Buffer, number: number) => all(message, number)[0] ?? NONE;

function spansOf(request: Buffer): CollectedSpan[] {
  return all(request, 1)
    .flatMap((resourceSpans) => all(resourceSpans, 2))
    .flatMap((scopeSpans) => all(scopeSpans, 2))
    .map((span) => ({
      name: first(span, 5).toString(),
      traceId: first(span, 1).toString('hex'),
      id: first(span, 2).toString('hex'),
      parentId: first(span, 4).toString('hex') || undefined,
      links: all(span, 13).map((link) => first(link, 2).toString('hex')),
      attributes: Object.fromEntries(all(span, 9).map(attributeOf)),
    }));
}

function attributeOf(keyValue: Buffer): [string, string | number] {
  const value = fieldsOf(first(keyValue, 2))[0];
  const isText = value?.number === 1;
  return [first(keyValue, 1).toString(), isText ? value.bytes.toString() : Number(value?.value)];
}
