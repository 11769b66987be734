/**
 * The server's TCP connections, from the first moment to the last: errors of raw sockets, the size of answers, answers
 * that nobody reads, and an end without a reset.
 *
 * Node takes its own error listener off a socket that is upgraded, and an `error` event without a
 * listener ends the process. Each socket therefore has a listener of ours before it has sent a byte.
 */
import type { Server, ServerResponse } from 'node:http';
import { Socket, Server as TcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from '../../infrastructure/observability/logger.js';
import { compressAnswer, negotiateEncoding } from '../answer-encoding.js';

export interface ConnectionSettings {
  /** Time for a client to read an answer, from its first byte to its last. */
  readonly sendTimeoutMs: number;
  /** Unread bytes of all connections together. */
  readonly unreadAnswersBytesMax: number;
  /** Unread bytes of one connection from which on it is answered nothing more. */
  readonly answerBytesMax: number;
  /** TCP connections, WebSockets among them. Further ones are closed when they are accepted. */
  readonly connectionsMax: number;
  /** Time for which a server that stops still answers on connections that are open. */
  readonly stopLingerMs: number;
}

/** A client that takes nothing of its answer for this long is disconnected. */
const STALL_TIMEOUT_MS = 15_000;

/** The same where all clients together leave too much unread. */
const STALL_TIMEOUT_UNDER_PRESSURE_MS = 1_000;

/** Interval between two looks at what clients have read. */
const CHECK_INTERVAL_MS = 1_000;

/** Time for requests in progress to finish after the listener is closed. */
const DRAIN_TIMEOUT_MS = 10_000;

/** Progress of a client in reading, as of the last check. */
interface ReadProgress {
  readonly unreadSince: number;
  readonly takenBytes: number;
  readonly takenAt: number;
}

export class Connections {
  readonly #open = new Set<Socket>();
  /** Connections that have not read all that was sent to them. */
  readonly #unread = new Map<Socket, ReadProgress>();
  /** Bytes of answers that were handed to Node and are not with the operating system yet. */
  readonly #pending = new Map<Socket, number>();
  /** Answers that are being compressed: their clients can't read them yet. */
  readonly #compressing = new Map<Socket, number>();
  readonly #server: Server;
  /** Unread bytes of all connections: those of the last check, and of answers since. */
  #unreadBytes = 0;
  #isStopping = false;

  constructor(
    app: FastifyInstance,
    private readonly settings: ConnectionSettings,
    private readonly logger: Logger,
  ) {
    this.#server = app.server;
    this.#server.maxConnections = settings.connectionsMax;
    this.#server.on('connection', (socket: Socket) => this.#accept(socket));
    const checks = setInterval(() => this.#disconnectSlowReaders(Date.now()), CHECK_INTERVAL_MS);
    checks.unref();
    app.addHook('onClose', async () => clearInterval(checks));
    this.#closeListenerWhenStopping(app);
    app.addHook('onSend', (request, reply, payload, next) => {
      if (this.#isStopping) reply.header('connection', 'close');
      if (typeof payload !== 'string') return next(null, payload);
      const { socket } = request.raw;
      const encoding = negotiateEncoding(request, reply, payload);
      if (encoding === undefined && payload.length < COUNTED_CHARACTERS_MIN) {
        return next(null, payload);
      }
      // An answer that is being compressed is in memory as it was.
      const count = this.#count(socket, Buffer.byteLength(payload), reply.raw);
      if (encoding === undefined) return next(null, payload);
      this.#noteCompressing(socket, 1);
      compressAnswer(reply, payload, encoding, (compressed) => {
        this.#noteCompressing(socket, -1);
        // Answered otherwise meanwhile: the request took too long, or its client has disconnected.
        if (reply.raw.headersSent || reply.raw.destroyed) return;
        count(Buffer.byteLength(compressed));
        next(null, compressed);
      });
    });
  }

  /** Tells whether too many bytes are unread, in all or on the connection of a request, to answer it. */
  isOverloaded({ raw: { socket } }: FastifyRequest): boolean {
    return (
      this.#isUnderPressure || unreadBytesOf(socket, this.#pending) > this.settings.answerBytesMax
    );
  }

  get #isUnderPressure(): boolean {
    return this.#unreadBytes >= this.settings.unreadAnswersBytesMax;
  }

  /**
   * Counts an answer until the operating system has all of it: with pipelining it may wait for others.
   * @returns counts it anew where its size has changed
   */
  #count(socket: Socket, bytes: number, response: ServerResponse): (bytes: number) => void {
    let counted = 0;
    const recount = (now: number) => {
      const ofSocket = (this.#pending.get(socket) ?? 0) + now - counted;
      this.#unreadBytes += now - counted;
      counted = now;
      if (ofSocket > 0) this.#pending.set(socket, ofSocket);
      else this.#pending.delete(socket);
    };
    recount(bytes);
    response.once('close', () => recount(0));
    return recount;
  }

  #noteCompressing(socket: Socket, change: 1 | -1): void {
    const answers = (this.#compressing.get(socket) ?? 0) + change;
    if (answers > 0) this.#compressing.set(socket, answers);
    else this.#compressing.delete(socket);
  }

  #accept(socket: Socket): void {
    this.#open.add(socket);
    socket.on('error', (error) => this.logger.debug({ reason: error.message }, 'Socket error'));
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#unread.delete(socket);
    });
  }

  /**
   * Disconnects clients that have read nothing for a while, or not all in time. Progress is what the
   * operating system took: pings and further requests are no sign of reading.
   */
  #disconnectSlowReaders(now: number): void {
    let unreadBytes = 0;
    for (const socket of this.#open) {
      const unread = unreadBytesOf(socket, this.#pending);
      if (unread === 0) {
        this.#unread.delete(socket);
        continue;
      }
      unreadBytes += unread;
      const before = this.#compressing.has(socket) ? undefined : this.#unread.get(socket);
      const progress = readProgressOf(socket, before, now);
      this.#unread.set(socket, progress);
      const isLate = now - progress.unreadSince >= this.settings.sendTimeoutMs;
      if (isLate || now - progress.takenAt >= STALL_TIMEOUT_MS) socket.destroy();
    }
    this.#unreadBytes = unreadBytes;
    if (this.#isUnderPressure) this.#relievePressure(now);
  }

  /** Disconnects the connections with most unread bytes that take nothing, until half of the bound is free. */
  #relievePressure(now: number): void {
    const stalled = [...this.#unread]
      .filter(([, { takenAt }]) => now - takenAt >= STALL_TIMEOUT_UNDER_PRESSURE_MS)
      .map(([socket]) => ({ socket, unreadBytes: unreadBytesOf(socket, this.#pending) }))
      .sort((one, other) => other.unreadBytes - one.unreadBytes);
    let left = this.#unreadBytes;
    for (const { socket, unreadBytes } of stalled) {
      if (left < this.settings.unreadAnswersBytesMax / 2) return;
      left -= unreadBytes;
      socket.destroy();
    }
  }

  /** Closes the listener first; from then on each answer closes its connection. */
  #closeListenerWhenStopping(app: FastifyInstance): void {
    app.addHook('preClose', async () => {
      this.#isStopping = true;
      // http.Server.close() would reset idle connections on which a request may be on its way.
      if (this.#server.listening) TcpServer.prototype.close.call(this.#server);
      setTimeout(() => this.#server.closeAllConnections(), DRAIN_TIMEOUT_MS).unref();
    });
  }

  /**
   * Waits while clients may still send on connections that they have open. To be registered as the last
   * `preClose` hook, after those that close streams. Connections that are idle when it ends are closed:
   * those that have sent nothing here, for Node takes them for busy ones, the others by Fastify.
   */
  async linger(): Promise<void> {
    const end = Date.now() + this.settings.stopLingerMs;
    while (this.#open.size > 0 && Date.now() < end) await sleep(LINGER_CHECK_MS);
    for (const socket of this.#open) if (socket.bytesRead === 0) socket.destroy();
  }
}

const LINGER_CHECK_MS = 10;

/** Smaller answers are counted by the check alone, in what their sockets hold. */
const COUNTED_CHARACTERS_MIN = 16_384;

/** Returns the bytes of answers that Node still holds for a connection. */
function unreadBytesOf(socket: Socket, pending: ReadonlyMap<Socket, number>): number {
  return Math.max(socket.writableLength, pending.get(socket) ?? 0);
}

function readProgressOf(
  socket: Socket,
  before: ReadProgress | undefined,
  now: number,
): ReadProgress {
  const takenBytes = socket.bytesWritten - socket.writableLength;
  if (!before) return { unreadSince: now, takenBytes, takenAt: now };
  return {
    unreadSince: before.unreadSince,
    takenBytes,
    takenAt: takenBytes === before.takenBytes ? before.takenAt : now,
  };
}
