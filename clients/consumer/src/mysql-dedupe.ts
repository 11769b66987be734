import { type Dedupe, type DedupeOptions, PRUNE_ROWS_MAX, Retention } from './dedupe.js';

/** The part of a connection of mysql2/promise that the store uses. */
export interface MysqlConnection {
  beginTransaction(): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  query(sql: string, values: (string | number)[]): Promise<unknown>;
  release(): void;
  destroy(): void;
}

/** The part of a pool of mysql2/promise that the store uses. */
export interface MysqlPool<Connection extends MysqlConnection> {
  getConnection(): Promise<Connection>;
}

const DUPLICATE_ENTRY = 1062;
const NO_SUCH_TABLE = 1146;

/**
 * Returns a store in MySQL or MariaDB, which creates its table if it is missing. Each event has a connection of the
 * pool and a transaction on it, which the handler gets.
 */
export function mysqlDedupe<Connection extends MysqlConnection>(
  pool: MysqlPool<Connection>,
  options: DedupeOptions = {},
): Dedupe<Connection> {
  return new MysqlDedupe(pool, new Retention(options));
}

class MysqlDedupe<Connection extends MysqlConnection> implements Dedupe<Connection> {
  #hasTable = false;

  constructor(
    private readonly pool: MysqlPool<Connection>,
    private readonly retention: Retention,
  ) {}

  async once(
    messageId: string,
    work: (connection: Connection) => Promise<void>,
  ): Promise<'done' | 'duplicate'> {
    const connection = await this.pool.getConnection();
    let isUsable = false;
    try {
      await this.#createTable(connection);
      await this.#prune(connection);
      const outcome = await this.#transact(connection, messageId, work);
      isUsable = true;
      return outcome;
    } catch (error) {
      isUsable = await connection.rollback().then(
        () => true,
        () => false,
      );
      throw error;
    } finally {
      // A connection with an open transaction must not return to the pool.
      if (isUsable) connection.release();
      else connection.destroy();
    }
  }

  async #transact(
    connection: Connection,
    messageId: string,
    work: (connection: Connection) => Promise<void>,
  ): Promise<'done' | 'duplicate'> {
    await connection.beginTransaction();
    const isNew = await this.#record(connection, messageId);
    if (isNew) await work(connection);
    await connection.commit();
    return isNew ? 'done' : 'duplicate';
  }

  /**
   * Records an id, and waits for another transaction that is recording the same one.
   * @returns false if the id was recorded
   */
  async #record(connection: Connection, messageId: string): Promise<boolean> {
    try {
      await connection.query(
        `insert into ${this.retention.table} (id, processed_at) values (?, ?)`,
        [messageId, Date.now()],
      );
      return true;
    } catch (error) {
      if (errnoOf(error) === DUPLICATE_ENTRY) return false;
      throw error;
    }
  }

  /** Creates the table only if it is missing, so that a user without the privilege can use an existing one. */
  async #createTable(connection: Connection): Promise<void> {
    if (this.#hasTable) return;
    const { table } = this.retention;
    try {
      await connection.query(`select 1 from ${table} limit 0`, []);
    } catch (error) {
      if (errnoOf(error) !== NO_SUCH_TABLE) throw error;
      await connection.query(
        `create table if not exists ${table} (
          id varbinary(512) not null primary key,
          processed_at bigint not null,
          key ${table}_processed_at (processed_at)
        ) engine = InnoDB`,
        [],
      );
    }
    this.#hasTable = true;
  }

  async #prune(connection: Connection): Promise<void> {
    const before = this.retention.pruneBefore();
    if (before === undefined) return;
    await connection.query(
      `delete from ${this.retention.table} where processed_at < ?
        order by processed_at limit ${PRUNE_ROWS_MAX}`,
      [before],
    );
  }
}

function errnoOf(error: unknown): unknown {
  return error instanceof Error && 'errno' in error ? error.errno : undefined;
}
