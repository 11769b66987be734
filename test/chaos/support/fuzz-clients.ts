/** Clients that send malformed requests to every entry point. */
import type { EventEmitter } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import type { RandomDocument } from './documents.js';

/** Maximum time until the server answers a malformed request. */
const ANSWER_MAX_MS = 20_000;

/** Time for which a stream is read. */
const LISTEN_MS = 30;

/** The fault in an answer; undefined if there is none. */
export type Fault = string | undefined;

export async function post(
  url: string,
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>>,
): Promise<Fault> {
  const signal = AbortSignal.timeout(ANSWER_MAX_MS);
  const request = { method: 'POST', headers, body, signal };
  return faultOf(await fetch(url + path, request), `POST ${path} ${body}`);
}

export async function get(url: string, path: string, document: RandomDocument): Promise<Fault> {
  const query = new URLSearchParams({
    query: document.query,
    variables: JSON.stringify(document.variables),
    ...(document.operationName !== undefined && { operationName: document.operationName }),
  });
  const headers = { 'apollo-require-preflight': 'true' };
  const signal = AbortSignal.timeout(ANSWER_MAX_MS);
  const request = `${path}?${query}`;
  return faultOf(await fetch(url + request, { headers, signal }), `GET ${request}`);
}

async function faultOf(response: Response, request: string): Promise<Fault> {
  const text = response.headers.get('content-type')?.includes('event-stream')
    ? await firstOf(response)
    : await response.text();
  const isFault = response.status >= 500 || text.includes('INTERNAL_SERVER_ERROR');
  return isFault ? `${request}\ngave ${response.status}: ${text.slice(0, 500)}` : undefined;
}

/** Returns the start of a stream, which may never end. */
async function firstOf({ body }: Response): Promise<string> {
  const reader = body?.getReader();
  const started = reader?.read().then(({ value }) => Buffer.from(value ?? []).toString());
  const timeout = new Promise<string>((resolve) => setTimeout(() => resolve(''), LISTEN_MS));
  const text = await Promise.race([started, timeout]);
  await reader?.cancel();
  return text ?? '';
}

/** Waits for an event and ignores errors before it. */
function untilEvent(emitter: EventEmitter, event: string): Promise<void> {
  return new Promise((resolve) => emitter.once(event, () => resolve()));
}

/** Sends bytes that need not be HTTP. */
export async function sendBytes(url: string, bytes: Uint8Array): Promise<Fault> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  const closed = untilEvent(socket, 'close');
  socket.end(bytes);
  const timer = setTimeout(() => socket.destroy(), ANSWER_MAX_MS);
  await closed;
  clearTimeout(timer);
  return /^HTTP\/1\.1 5/.test(text) ? text.slice(0, 500) : undefined;
}

/** Sends messages over a WebSocket, which the server may close after any of them. */
export async function sendMessages(
  url: string,
  protocol: string,
  messages: readonly (string | Uint8Array)[],
): Promise<Fault> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/graphql`, protocol);
  let fault: Fault;
  socket.on('message', (message) => {
    const text = String(message);
    if (text.includes('INTERNAL_SERVER_ERROR')) fault = text.slice(0, 500);
  });
  socket.on('close', (code) => {
    // 4500 is the internal error of the protocol, 1011 that of RFC 6455.
    if (code === 1011 || code === 4500) fault = `Closed with ${code}`;
  });
  socket.on('error', () => {});
  const closed = untilEvent(socket, 'close');
  await Promise.race([untilEvent(socket, 'open'), closed]);
  for (const message of messages) if (socket.readyState === WebSocket.OPEN) socket.send(message);
  setTimeout(() => socket.close(), LISTEN_MS);
  const timer = setTimeout(() => socket.terminate(), ANSWER_MAX_MS);
  await closed;
  clearTimeout(timer);
  return fault;
}
