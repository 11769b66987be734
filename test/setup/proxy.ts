import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

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
}

type Direction = 'to-target' | 'from-target';

export async function startProxy(target: { host: string; port: number }): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let port = 0;
  let server: Server | undefined;

  const leftBytes = { 'to-target': Infinity, 'from-target': Infinity };
  const forward = (from: Socket, to: Socket, direction: Direction) => {
    sockets.add(from);
    from.on('data', (chunk) => {
      to.write(chunk.subarray(0, leftBytes[direction]));
      leftBytes[direction] = Math.max(0, leftBytes[direction] - chunk.length);
      if (leftBytes[direction] === 0) from.pause();
    });
    from.on('error', () => {});
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
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
  };
}
