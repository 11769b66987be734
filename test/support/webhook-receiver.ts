import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http, { type IncomingHttpHeaders, type RequestListener } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Certificate } from './certificates.js';

/** A request that a receiver has read completely. */
export interface ReceivedRequest {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A server on loopback that webhooks are sent to. */
export interface Receiver {
  readonly port: number;
  /** The requests so far. A receiver of raw sockets has none. */
  readonly requests: readonly ReceivedRequest[];
  /** The number of TCP connections so far. */
  readonly connections: number;
  /** The number of TCP connections that are open. */
  readonly openConnections: number;
}

/** Starts an HTTP server; with a certificate an HTTPS server. The handler is called once the body is read. */
export async function startReceiver(
  handle: RequestListener,
  certificate?: Certificate,
): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const listener: RequestListener = async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url, headers } = request;
    requests.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
    handle(request, response);
  };
  if (!certificate) return listen(http.createServer(listener), requests);
  const [cert, key] = await Promise.all([readFile(certificate.cert), readFile(certificate.key)]);
  // The server prefers HTTP/2 but does not speak it, so it fails a client that offers it.
  const ALPNProtocols = ['h2', 'http/1.1'];
  return listen(https.createServer({ cert, key, ALPNProtocols }, listener), requests);
}

/** Starts a TCP server that does what it is told with each connection. */
export function startRawReceiver(handle: (socket: Socket) => void): Promise<Receiver> {
  return listen(net.createServer(handle), []);
}

async function listen(server: net.Server, requests: readonly ReceivedRequest[]): Promise<Receiver> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    requests,
    get connections() {
      return connections;
    },
    get openConnections() {
      return sockets.size;
    },
  };
}
