/**
 * The connection pool. It extends the pool of mysql2 in three points that Kysely and mysql2 leave open.
 *
 * - The pool prepares a session before its first use, and closes the connection if that fails. Kysely's own hook would
 *   keep such a connection in the pool, unprepared and never released.
 * - An error may show that the server is read-only or unreachable. The connection is then closed when it is released.
 *   Every connection that was opened before the error is closed when it is next acquired, because after a fail-over all
 *   of them lead to the former primary. mysql2 closes only one such connection, and only for `pool.query`, which Kysely
 *   does not use.
 * - After an error about a lost privilege, only the connection of the error is closed. The other connections still
 *   serve what the user may do.
 */
import type { MysqlPool, MysqlPoolConnection } from 'kysely';
import {
  createPool,
  type Pool,
  type PoolConnection,
  type PoolOptions,
  type Query,
  type ResultSetHeader,
  type RowDataPacket,
} from 'mysql2';
import type { ConnectionUse } from './dialect.js';
import type { AskServer, MySqlServer } from './mysql-session.js';
import {
  NO_CONNECTION,
  needsOtherConnection,
  needsOtherServer,
  type OnUnavailable,
  unavailabilityOf,
} from './unavailability.js';

/**
 * Prepares the session of a new connection.
 * @returns the server of the connection
 */
export type PrepareSession = (ask: AskServer) => Promise<MySqlServer>;

/**
 * Minimum interval between two closings of all connections. It limits how often a server that stays read-only costs
 * reads their connections.
 */
const RENEWAL_INTERVAL_MS = 1_000;

export class MySqlPool implements MysqlPool {
  readonly #pool: Pool;
  readonly #sessions = new WeakMap<PoolConnection, Session>();
  #renewedAt = Number.NEGATIVE_INFINITY;
  #server: MySqlServer | undefined;
  #inUse = 0;
  #waiting = 0;
  onUnavailable: OnUnavailable = () => {};

  constructor(
    options: PoolOptions,
    private readonly prepareSession: PrepareSession,
  ) {
    this.#pool = createPool(options);
  }

  /**
   * Returns the server of the newest session.
   * @throws Error if no session was opened yet
   */
  get server(): MySqlServer {
    if (!this.#server) throw new Error('No session was opened yet');
    return this.#server;
  }

  get connectionUse(): ConnectionUse {
    return { inUse: this.#inUse, waiting: this.#waiting };
  }

  /** Acquires a connection for Kysely. The `release` method of the session returns the connection to the pool. */
  getConnection(callback: (error: unknown, session: MysqlPoolConnection) => void): void {
    this.#waiting += 1;
    this.#acquire()
      .finally(() => {
        this.#waiting -= 1;
      })
      .then(
        (session) => {
          this.#inUse += 1;
          session.onReturn = () => {
            this.#inUse -= 1;
          };
          callback(undefined, session);
        },
        (error) => callback(error, undefined as never),
      );
  }

  end(callback: (error: unknown) => void): void {
    this.#pool.end(callback);
  }

  async #acquire(): Promise<Session> {
    for (;;) {
      let connection: PoolConnection | undefined;
      try {
        connection = await this.#acquireConnection();
        const session = this.#sessions.get(connection) ?? (await this.#open(connection));
        if (session.openedAt >= this.#renewedAt) return session;
        // Each iteration closes a connection, so there are at most as many iterations as connections.
        connection.destroy();
      } catch (error) {
        connection?.destroy();
        const noConnection = noConnectionBecauseOf(error);
        this.onUnavailable('DATABASE_AWAY', noConnection);
        throw noConnection;
      }
    }
  }

  /** Marks every connection that was opened before now. Each of them is closed when it is next acquired. */
  renew(): void {
    this.#renewedAt = performance.now();
  }

  #acquireConnection(): Promise<PoolConnection> {
    return new Promise((resolve, reject) => {
      this.#pool.getConnection((error, connection) => {
        if (error) reject(error);
        else resolve(connection);
      });
    });
  }

  async #open(connection: PoolConnection): Promise<Session> {
    const session = new Session(connection, (error) => this.#note(error));
    this.#server = await this.prepareSession((sql) => session.ask(sql));
    this.#sessions.set(connection, session);
    return session;
  }

  /** Returns whether the connection that raised the error must be closed. */
  #note(error: unknown): boolean {
    const reason = unavailabilityOf(error);
    if (reason === undefined) return false;
    if (!needsOtherConnection(reason)) {
      this.onUnavailable(reason, error);
      return false;
    }
    const isRenewed = performance.now() - this.#renewedAt < RENEWAL_INTERVAL_MS;
    if (needsOtherServer(reason) && !isRenewed) this.renew();
    this.onUnavailable(reason, error);
    return true;
  }
}

type QueryCallback = NonNullable<Parameters<MysqlPoolConnection['query']>[2]>;

/** A connection in the form that Kysely uses. */
class Session implements MysqlPoolConnection {
  readonly openedAt = performance.now();
  /** Called once when the user of the connection returns it. */
  onReturn: () => void = () => {};
  #isSpoiled = false;

  constructor(
    private readonly connection: PoolConnection,
    /**
     * Called with each error.
     * @returns whether the connection must be closed
     */
    private readonly note: (error: unknown) => boolean,
  ) {}

  get threadId(): number {
    return this.connection.threadId ?? 0;
  }

  get config(): object {
    return this.connection.config;
  }

  connect(callback?: (error: unknown) => void): void {
    this.connection.connect(callback);
  }

  query(sql: string, parameters: unknown[], callback?: QueryCallback): Query {
    // Kysely passes no callback when it streams rows.
    if (!callback) return this.connection.query(sql, parameters);
    return this.connection.query<RowDataPacket[] | ResultSetHeader>(
      sql,
      parameters,
      (error, result) => {
        if (error && this.note(error)) this.#isSpoiled = true;
        callback(error, result);
      },
    );
  }

  /** Returns the rows of one statement, or an empty list for several statements. */
  ask(sql: string): Promise<readonly Record<string, unknown>[]> {
    return new Promise((resolve, reject) => {
      this.query(sql, [], (error, result) => {
        if (error) reject(error);
        else resolve(Array.isArray(result) ? result : []);
      });
    });
  }

  release(): void {
    this.#noteReturn();
    if (this.#isSpoiled) this.connection.destroy();
    else this.connection.release();
  }

  destroy(): void {
    this.#noteReturn();
    this.connection.destroy();
  }

  #noteReturn(): void {
    this.onReturn();
    this.onReturn = () => {};
  }
}

function noConnectionBecauseOf(cause: unknown): Error {
  const { message = '', code = '' } = cause as { message?: string; code?: string };
  // Node's error has a code and no message if a host name has several addresses.
  return Object.assign(new Error(message || code || String(cause), { cause }), {
    code: NO_CONNECTION,
  });
}
