import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { AMQP_URL } from './amqp-url.js';

/** A network between two programs, which a test can cut. */
export interface Proxy {
  readonly port: number;
  /** Cuts every connection there is; new ones are made as before. */
  cut(): void;
  /** Cuts every connection, and refuses new ones. */
  goDown(): Promise<void>;
  goUp(): Promise<void>;
  /** Lets so many bytes more go to the target, or come from it, and then nothing: the rest is stuck. */
  jam(direction: Direction, afterBytes: number): void;
  /**
   * Cuts the connection on which the next message goes out that has a text in it; resolved by then.
   * @param text or several, of which the message has one
   * @param after a text that has gone out on the same connection before; without one, any connection
   */
  cutAt(text: string | readonly string[], moment: CutMoment, after?: string): Promise<void>;
  /**
   * Has the next statement that has a text in it answered with an error of MySQL, although it was run; resolved by then.
   * @param after as for cutAt
   */
  failAt(text: string | readonly string[], errno: number, after?: string): Promise<void>;
  /** Has the next message that has a text in it answered with an error of MySQL, and does not pass it on. */
  refuseAt(text: string, errno: number): Promise<void>;
}

/**
 * A statement that is this word alone, on the wire of MariaDB and of MySQL. MySQL's has the numbers of its attributes, none,
 * and of their sets, one, before the word.
 */
export const COMMIT = ['\u0003commit', '\u0003\u0000\u0001commit'] as const;

/** A part of the server's regular check of its tables, which names every statement that a trap may be for. */
const TABLE_CHECK = 'prepare virement_check';

/** Before the message reaches the target, as soon as it is sent, or when the target has answered it. */
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

/** A broker behind a network that a test can cut or jam. */
export async function startBrokerProxy(): Promise<{ proxy: Proxy; amqpUrl: string }> {
  const { proxy, url } = await startProxyOf(AMQP_URL, 5672);
  return { proxy, amqpUrl: url };
}

/** A database behind a network that a test can cut or jam. */
export async function startDatabaseProxy(
  directUrl: string,
): Promise<{ proxy: Proxy; databaseUrl: string }> {
  const { proxy, url } = await startProxyOf(directUrl, 3306);
  return { proxy, databaseUrl: url };
}

/** @returns the URL of a service with the proxy in its place */
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
  /** The connection that the trap is for; any, where it is for what comes after nothing. */
  let trapped: Socket | undefined;
  /** Traps of connections whose next answer is not to come through. */
  const unanswered = new Map<Socket, Trap>();
  /** @returns whether a message is to go no further, for its connection is cut */
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
    // What is written is sent before the end of the connection is.
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

/** ERR_Packet of the protocol of MySQL, the first packet of an answer, with a SQL state that says nothing. */
function errorPacketOf(errno: number): Buffer {
  const text = Buffer.from(`#HY000Error ${errno} of the proxy`);
  const head = Buffer.alloc(7);
  head.writeUIntLE(text.length + 3, 0, 3);
  head.writeUInt8(1, 3);
  head.writeUInt8(0xff, 4);
  head.writeUInt16LE(errno, 5);
  return Buffer.concat([head, text]);
}
