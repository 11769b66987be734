import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A TCP connection to a server, for requests that no HTTP client sends. */
export interface RawConnection {
  readonly socket: Socket;
  /** The text received so far. */
  readonly text: string;
  /** Resolves when the server has closed or reset the connection. */
  readonly closed: Promise<unknown>;
}

/** @param isHalfOpen keeps this side open when the server ends its own */
export async function openConnection(url: string, isHalfOpen = false): Promise<RawConnection> {
  const socket = connect({
    port: Number(new URL(url).port),
    host: '127.0.0.1',
    allowHalfOpen: isHalfOpen,
  });
  onTestFinished(() => {
    socket.destroy();
  });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  return {
    socket,
    closed,
    get text() {
      return text;
    },
  };
}
