/**
 * Counts the statements that one server sends to MariaDB or MySQL. It is a proxy between the two, and reads
 * the packets of the protocol. The counters of the database would include other clients.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html */
const COM_QUERY = 0x03;
const COM_STMT_EXECUTE = 0x17;
const HEADER_BYTES = 4;

export class StatementCounter {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Number of statements so far. */
  count = 0;

  private constructor(host: string, port: number) {
    this.#server = createServer((client) => {
      const database = connect(port, host);
      for (const socket of [client, database]) {
        this.#sockets.add(socket);
        socket.setNoDelay(true);
        socket.once('error', () => socket.destroy());
      }
      client.on('data', this.#packetReader());
      client.pipe(database);
      database.pipe(client);
    });
  }

  /** @param databaseUrl the database behind the proxy @returns the proxy and its own database URL */
  static async open(databaseUrl: string): Promise<{ counter: StatementCounter; url: string }> {
    const url = new URL(databaseUrl);
    const counter = new StatementCounter(url.hostname, Number(url.port || 3306));
    counter.#server.listen(0, '127.0.0.1');
    await once(counter.#server, 'listening');
    url.hostname = '127.0.0.1';
    url.port = String((counter.#server.address() as AddressInfo).port);
    return { counter, url: url.href };
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** A packet is three bytes of length, a sequence number that is 0 at the start of a command, and the command. */
  #packetReader(): (chunk: Buffer) => void {
    let rest: Buffer = Buffer.alloc(0);
    return (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length > HEADER_BYTES) {
        const end = HEADER_BYTES + rest.readUIntLE(0, 3);
        if (rest.length < end) return;
        const command = rest[HEADER_BYTES];
        const isCommand = rest[3] === 0;
        if (isCommand && (command === COM_QUERY || command === COM_STMT_EXECUTE)) this.count += 1;
        rest = rest.subarray(end);
      }
    };
  }
}
