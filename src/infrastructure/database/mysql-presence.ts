/**
 * Presence by session locks of MySQL and MariaDB: get_lock and is_free_lock. A process holds a lock with the id of its
 * relay on a separate connection. The operating system closes the connection of a process that ends, in any way, and
 * the database then frees the lock at once. A slow process keeps its lock. The session of a host that disappears ends
 * after SESSION_TIMEOUT_S.
 */
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import type { MySqlAddress } from './mysql-url.js';
import type { Presence } from './presence.js';

/** The time for which a session may be idle, in seconds. A running relay sends a query every second. */
const SESSION_TIMEOUT_S = 60;

interface Session {
  readonly connection: Connection;
  /** The ids whose locks the session holds. An earlier session of this process may still hold others. */
  readonly held: Set<string>;
}

export class MySqlPresence implements Presence {
  readonly #ids = new Set<string>();
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;

  constructor(private readonly address: MySqlAddress) {}

  async announce(id: string): Promise<void> {
    this.#ids.add(id);
    await this.endedAmong([]);
  }

  async endedAmong(ids: readonly string[]): Promise<readonly string[]> {
    try {
      const session = await this.#present();
      const [rows] = await session.connection.query<RowDataPacket[]>(
        ['select null as id, 0 as isFree', ...ids.map(() => 'select ?, is_free_lock(?)')].join(
          ' union all ',
        ),
        ids.flatMap((id) => [id, lockOf(id)]),
      );
      return rows.filter(({ isFree }) => Number(isFree) === 1).map(({ id }) => String(id));
    } catch {
      this.#drop();
      return [];
    }
  }

  /** Moves to a new session, because after a fail-over the old session leads to the former primary. */
  renew(): void {
    if (this.#ids.size === 0) return;
    this.#drop();
    void this.endedAmong([]);
  }

  async close(): Promise<void> {
    this.#ids.clear();
    this.#drop();
  }

  /** Returns a session that holds the locks of this process, or has tried to acquire them. */
  async #present(): Promise<Session> {
    const session = this.#session ?? (await this.#open());
    for (const id of this.#ids) {
      if (session.held.has(id)) continue;
      const [rows] = await session.connection.query<RowDataPacket[]>(
        'select get_lock(?, 0) as isLocked',
        [lockOf(id)],
      );
      if (Number(rows[0]?.isLocked) === 1) session.held.add(id);
    }
    return session;
  }

  #open(): Promise<Session> {
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #connect(): Promise<Session> {
    const connection = await createConnection({ ...this.address });
    const session = { connection, held: new Set<string>() };
    this.#session = session;
    connection.on('error', () => this.#drop(session));
    await connection.query(`set session wait_timeout = ${SESSION_TIMEOUT_S}`);
    return session;
  }

  /** Closes a session. The next query opens another one. */
  #drop(session = this.#session): void {
    session?.connection.destroy();
    if (this.#session === session) this.#session = undefined;
  }
}

/** Returns the name of a relay's lock. Locks are global to the database server, so the name contains the unique id. */
function lockOf(id: string): string {
  return `virement_relay_${id}`;
}
