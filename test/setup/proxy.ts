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
}

export async function startProxy(target: { host: string; port: number }): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let port = 0;
  let server: Server | undefined;

  const join = (inner: Socket) => {
    const outer = connect(target);
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
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
  };
}
