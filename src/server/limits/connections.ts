/**
 * Tracks the server's TCP connections: errors of raw sockets, the size of answers, answers that are not read, and a
 * shutdown without a connection reset.
 *
 * Node removes its own error listener from a socket that is upgraded, and an `error` event without a listener ends the
 * process. Each socket therefore gets a listener here before it sends a byte.
 */
import type { Server, ServerResponse } from 'node:http';
import { Socket, Server as TcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from '../../infrastructure/observability/logger.js';
import { compressAnswer, negotiateEncoding } from '../answer-encoding.js';
import type { OperationLog } from '../operation-log.js';
import { limitOf } from './connection-limits.js';

export interface ConnectionSettings {
  /** The time for a client to read an answer, from its first byte to its last. */
  readonly sendTimeoutMs: number;
  /** Limits the unread bytes of all connections together. */
  readonly unreadAnswersBytesMax: number;
  /** Limits the unread bytes of one connection. Beyond the limit, requests on the connection are refused. */
  readonly answerBytesMax: number;
  /** Limits the TCP connections, including WebSockets. Further connections are closed when they are accepted. */
  readonly connectionsMax: number;
  /** The time for which a stopping server still answers on open connections. */
  readonly stopLingerMs: number;
}

/** The time after which a client that reads nothing of its answer is disconnected. */
const STALL_TIMEOUT_MS = 15_000;

/** The same time while all clients together leave too many bytes unread. */
const STALL_TIMEOUT_UNDER_PRESSURE_MS = 1_000;

/** Interval between two checks of what clients have read. */
const CHECK_INTERVAL_MS = 1_000;

/**
 * The bytes that a client takes of a download within each SEND_TIMEOUT_MS, unless the server has no more. A download may
 * last for hours, so its whole time has no limit.
 */
const DOWNLOAD_BYTES_MIN = 1_048_576;

/** The time for requests in progress to finish after the listener is closed. */
const DRAIN_TIMEOUT_MS = 10_000;

/** The reading progress of a client, as of the last check. */
interface ReadProgress {
  readonly unreadSince: number;
  /** The bytes that the client had taken at that time. */
  readonly unreadFromBytes: number;
  readonly takenBytes: number;
  readonly takenAt: number;
}

export class Connections {
  readonly #open = new Set<Socket>();
  /** Connections with unread bytes. */
  readonly #unread = new Map<Socket, ReadProgress>();
  /** Bytes of answers that Node has not passed to the operating system yet. */
  readonly #pending = new Map<Socket, number>();
  /** The number of answers that are being compressed. Their clients cannot read them yet. */
  readonly #compressing = new Map<Socket, number>();
  /** Connections with a download in progress. */
  readonly #downloads = new Set<Socket>();
  readonly #server: Server;
  /** Unread bytes of all connections: those of the last check, plus answers since then. */
  #unreadBytes = 0;
  #isStopping = false;

  constructor(
    app: FastifyInstance,
    private readonly settings: ConnectionSettings,
    private readonly logger: Logger,
    private readonly operationLog: Pick<OperationLog, 'countLimit'>,
  ) {
    this.#server = app.server;
    this.#server.maxConnections = settings.connectionsMax;
    this.#server.on('connection', (socket: Socket) => this.#accept(socket));
    this.#server.on('drop', () => operationLog.countLimit('CONNECTIONS'));
    this.#server.on('clientError', ({ code }: { readonly code?: string }) => {
      const limit = limitOf(code);
      if (limit) operationLog.countLimit(limit);
    });
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
      // An answer that is being compressed is still in memory uncompressed.
      const count = this.#count(socket, Buffer.byteLength(payload), reply.raw);
      if (encoding === undefined) return next(null, payload);
      this.#noteCompressing(socket, 1);
      compressAnswer(reply, payload, encoding, (compressed) => {
        this.#noteCompressing(socket, -1);
        // The request was answered meanwhile because it took too long, or its client has disconnected.
        if (reply.raw.headersSent || reply.raw.destroyed) return;
        count(Buffer.byteLength(compressed));
        next(null, compressed);
      });
    });
  }

  /** Tells whether too many bytes are unread to answer a request, on its connection or on all connections. */
  isOverloaded({ raw: { socket } }: FastifyRequest): boolean {
    return (
      this.#isUnderPressure || unreadBytesOf(socket, this.#pending) > this.settings.answerBytesMax
    );
  }

  /** Notes a download. Its client may take longer than for an answer, as long as it goes on reading. */
  noteDownload(socket: Socket, response: ServerResponse): void {
    this.#downloads.add(socket);
    response.once('close', () => {
      this.#downloads.delete(socket);
      // The header of the answer was sent before the server began to stop.
      if (this.#isStopping) socket.destroySoon();
    });
  }

  get #isUnderPressure(): boolean {
    return this.#unreadBytes >= this.settings.unreadAnswersBytesMax;
  }

  /**
   * Counts an answer until the operating system has all of it. With pipelining, the answer may wait for earlier
   * answers.
   * @returns a function that sets the new size of the answer
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
   * Disconnects clients that have read nothing for a while, or not everything in time. Progress is measured by the
   * bytes that the operating system took. Pings and further requests do not prove that a client reads.
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
      const read = readProgressOf(socket, before, now);
      const progress = this.#downloads.has(socket) ? progressOfDownload(read, now) : read;
      this.#unread.set(socket, progress);
      const isLate = now - progress.unreadSince >= this.settings.sendTimeoutMs;
      if (isLate || now - progress.takenAt >= STALL_TIMEOUT_MS) this.#cut(socket);
    }
    this.#unreadBytes = unreadBytes;
    if (this.#isUnderPressure) this.#relievePressure(now);
  }

  /** Disconnects stalled connections, those with most unread bytes first, until half of the limit is free. */
  #relievePressure(now: number): void {
    const stalled = [...this.#unread]
      .filter(([, { takenAt }]) => now - takenAt >= STALL_TIMEOUT_UNDER_PRESSURE_MS)
      .map(([socket]) => ({ socket, unreadBytes: unreadBytesOf(socket, this.#pending) }))
      .sort((one, other) => other.unreadBytes - one.unreadBytes);
    let left = this.#unreadBytes;
    for (const { socket, unreadBytes } of stalled) {
      if (left < this.settings.unreadAnswersBytesMax / 2) return;
      left -= unreadBytes;
      this.#cut(socket);
    }
  }

  /** Disconnects a client that reads too slowly. */
  #cut(socket: Socket): void {
    this.operationLog.countLimit('SLOW_READER');
    socket.destroy();
  }

  /** Closes the listener first. From then on, each answer closes its connection. */
  #closeListenerWhenStopping(app: FastifyInstance): void {
    app.addHook('preClose', async () => {
      this.#isStopping = true;
      // http.Server.close() would reset idle connections on which a request may be arriving.
      if (this.#server.listening) TcpServer.prototype.close.call(this.#server);
      setTimeout(() => this.#server.closeAllConnections(), DRAIN_TIMEOUT_MS).unref();
    });
  }

  /**
   * Waits while clients may still send on open connections. Callers register it as the last `preClose` hook, after the
   * hooks that close streams. When the wait ends, idle connections are closed. This method closes connections that have
   * sent nothing, because Node regards them as busy. Fastify closes the others.
   */
  async linger(): Promise<void> {
    const end = Date.now() + this.settings.stopLingerMs;
    while (this.#open.size > 0 && Date.now() < end) await sleep(LINGER_CHECK_MS);
    for (const socket of this.#open) if (socket.bytesRead === 0) socket.destroy();
  }
}

const LINGER_CHECK_MS = 10;

/**
 * The minimum size of an answer that is counted when it is sent. The regular check counts smaller answers in the
 * buffers of their sockets.
 */
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
  if (!before) {
    return { unreadSince: now, unreadFromBytes: takenBytes, takenBytes, takenAt: now };
  }
  return {
    unreadSince: before.unreadSince,
    unreadFromBytes: before.unreadFromBytes,
    takenBytes,
    takenAt: takenBytes === before.takenBytes ? before.takenAt : now,
  };
}

/** Restarts the time of a download whenever its client has taken enough. */
function progressOfDownload(progress: ReadProgress, now: number): ReadProgress {
  const { takenBytes, unreadFromBytes } = progress;
  if (takenBytes - unreadFromBytes < DOWNLOAD_BYTES_MIN) return progress;
  return { ...progress, unreadSince: now, unreadFromBytes: takenBytes };
}
