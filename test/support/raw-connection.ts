import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A TCP connection to a server, for what no HTTP client sends. */
export interface RawConnection {
  readonly socket: Socket;
  /** All that came so far. */
  readonly text: string;
  /** Resolves when the server has closed it, or it was reset. */
  readonly closed: Promise<unknown>;
}

/** @param isHalfOpen whether it stays open on this side when the server ends its own */
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
