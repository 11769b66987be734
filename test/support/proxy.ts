import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { AMQP_URL } from './amqp-url.js';

/** A network between two programs that a test can interrupt. */
export interface Proxy {
  readonly port: number;
  /** Cuts every open connection; new connections are accepted. */
  cut(): void;
  /** Cuts every open connection and refuses new ones. */
  goDown(): Promise<void>;
  goUp(): Promise<void>;
  /** Passes this number of further bytes to or from the target, then nothing: the rest is stuck. */
  jam(direction: Direction, afterBytes: number): void;
  /**
   * Cuts the connection on which the next message with a certain text is sent. Resolves after the cut.
   * @param text the text, or several of which the message has one
   * @param after a text that was sent earlier on the same connection; without it, any connection matches
   */
  cutAt(text: string | readonly string[], moment: CutMoment, after?: string): Promise<void>;
  /**
   * Answers the next statement with a certain text with a MySQL error, although the database runs it. Resolves after
   * the answer.
   * @param after as for cutAt
   */
  failAt(text: string | readonly string[], errno: number, after?: string): Promise<void>;
  /** Answers the next message with a certain text with a MySQL error, and does not pass it on. */
  refuseAt(text: string, errno: number): Promise<void>;
}

/**
 * The statement `commit` on the wire of MariaDB and of MySQL. MySQL's has the number of its attributes, zero, and of
 * their sets, one, before the word.
 */
export const COMMIT = ['\u0003commit', '\u0003\u0000\u0001commit'] as const;

/** A part of the server's regular check of its tables. The check names every statement that a trap may be for. */
const TABLE_CHECK = 'prepare virement_check';

/** The moment of a cut: before the message reaches the target, as soon as it is sent, or after the target's answer. */
export type CutMoment = 'before' | 'sent' | 'answered';

interface Trap {
  readonly texts: readonly string[];
  readonly moment: CutMoment;
  /** The packet that the client receives instead of the answer; undefined if the connection is cut. */
  readonly answer?: Buffer;
  readonly after: string | undefined;
  readonly sprung: () => void;
}

type Direction = 'to-target' | 'from-target';

/** Starts a proxy in front of the broker. */
export async function startBrokerProxy(): Promise<{ proxy: Proxy; amqpUrl: string }> {
  const { proxy, url } = await startProxyOf(AMQP_URL, 5672);
  return { proxy, amqpUrl: url };
}

/** Starts a proxy in front of a database. */
export async function startDatabaseProxy(
  directUrl: string,
): Promise<{ proxy: Proxy; databaseUrl: string }> {
  const { proxy, url } = await startProxyOf(directUrl, 3306);
  return { proxy, databaseUrl: url };
}

/** @returns the URL of a service with the proxy's address */
async function startProxyOf(
  directUrl: string,
  defaultPort: number,
): Promise<{ proxy: Proxy; url: string }> {
  const url = new URL(directUrl);
  const proxy = await startProxy({ host: url.hostname, port: Number(url.port || defaultPort) });
  url.host = `127.0.0.1:${proxy.port}`;
  return { proxy, url: url.href };
}

export function portOf(url: string): number {
  return Number(new URL(url).port);
}

export async function startProxy(target: { host: string; port: number }): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let port = 0;
  let server: Server | undefined;

  let trap: Trap | undefined;
  /** The connection that the trap is for; undefined means any connection. */
  let trapped: Socket | undefined;
  /** Traps of connections whose next answer must not pass. */
  const unanswered = new Map<Socket, Trap>();
  /** @returns whether the message must not pass, because its connection was cut */
  const springTrap = (from: Socket, to: Socket, direction: Direction, chunk: Buffer): boolean => {
    const caught = unanswered.get(from);
    if (caught) {
      unanswered.delete(from);
      if (caught.answer) to.write(caught.answer);
      else from.destroy();
      caught.sprung();
      return true;
    }
    if (direction !== 'to-target' || !trap || chunk.includes(TABLE_CHECK)) return false;
    if (trap.after !== undefined && chunk.includes(trap.after)) trapped = from;
    if (trap.after !== undefined && trapped !== from) return false;
    if (!trap.texts.some((text) => chunk.includes(text))) return false;
    const { moment, sprung, answer } = trap;
    if (moment === 'answered') unanswered.set(to, trap);
    trap = undefined;
    if (moment === 'answered') return false;
    if (answer) {
      from.write(answer);
      sprung();
      return true;
    }
    // The data that was written is sent before the connection ends.
    if (moment === 'sent') to.end(chunk);
    from.destroy();
    sprung();
    return true;
  };

  const leftBytes = { 'to-target': Infinity, 'from-target': Infinity };
  const forward = (from: Socket, to: Socket, direction: Direction) => {
    sockets.add(from);
    from.on('data', (chunk: Buffer) => {
      if (springTrap(from, to, direction, chunk)) return;
      to.write(chunk.subarray(0, leftBytes[direction]));
      leftBytes[direction] = Math.max(0, leftBytes[direction] - chunk.length);
      if (leftBytes[direction] === 0) from.pause();
    });
    from.on('error', () => {});
    from.on('close', () => {
      sockets.delete(from);
      if (!to.writableEnded) to.destroy();
    });
  };
  const join = (inner: Socket) => {
    const outer = connect(target);
    forward(inner, outer, 'to-target');
    forward(outer, inner, 'from-target');
  };
  const goUp = async () => {
    server = createServer(join).listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  };
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const goDown = async () => {
    const closed = server && once(server, 'close');
    server?.close();
    cut();
    await closed;
    server = undefined;
  };
  await goUp();
  onTestFinished(goDown);
  return {
    get port() {
      return port;
    },
    cut,
    goDown,
    goUp,
    jam: (direction, afterBytes) => {
      leftBytes[direction] = afterBytes;
    },
    cutAt: (text, moment, after) =>
      new Promise((sprung) => {
        trapped = undefined;
        trap = { texts: [text].flat(), moment, after, sprung };
      }),
    failAt: (text, errno, after) =>
      new Promise((sprung) => {
        trapped = undefined;
        const answer = errorPacketOf(errno);
        trap = { texts: [text].flat(), moment: 'answered', answer, after, sprung };
      }),
    refuseAt: (text, errno) =>
      new Promise((sprung) => {
        trapped = undefined;
        const answer = errorPacketOf(errno);
        trap = { texts: [text], moment: 'before', answer, after: undefined, sprung };
      }),
  };
}

/** Returns an ERR_Packet of the MySQL protocol, the first packet of an answer, with a general SQL state. */
function errorPacketOf(errno: number): Buffer {
  const text = Buffer.from(`#HY000Error ${errno} of the proxy`);
  const head = Buffer.alloc(7);
  head.writeUIntLE(text.length + 3, 0, 3);
  head.writeUInt8(1, 3);
  head.writeUInt8(0xff, 4);
  head.writeUInt16LE(errno, 5);
  return Buffer.concat([head, text]);
}
