/**
 * Requirements on a MySQL or MariaDB server. Each session sets everything that can be set, whatever the defaults of the
 * server are. Everything else is checked when a database is opened.
 */
import { ExplainedError } from '../observability/explained-error.js';
import type { DatabaseSettings } from './dialect.js';

/**
 * Sends one packet of SQL on a connection.
 * @returns the rows of one statement, or an empty list for several statements
 */
export type AskServer = (sql: string) => Promise<readonly Record<string, unknown>[]>;

/** Properties of a database server on which statements depend. */
export interface MySqlServer {
  readonly version: string;
  readonly isMariaDb: boolean;
  /** max_allowed_packet: the largest packet that the server accepts. */
  readonly packetBytesMax: number;
}

/**
 * The SQL mode of each session. MikroORM escapes values with backslashes, so NO_BACKSLASH_ESCAPES must be off, or a
 * value could become SQL. In strict mode a value that does not fit is an error and is never truncated.
 */
const SQL_MODE = [
  'STRICT_ALL_TABLES',
  'ONLY_FULL_GROUP_BY',
  'ERROR_FOR_DIVISION_BY_ZERO',
  'NO_ENGINE_SUBSTITUTION',
].join(',');

/**
 * Settings whose defaults may differ between servers.
 * - Names: a server with `skip-character-set-client-handshake` ignores the character set of the client. It would
 *   interpret UTF-8 as its own character set, such as latin1.
 * - READ COMMITTED: see the dialect. READ WRITE, autocommit and NO_CHAIN: a transaction may write, and only explicit
 *   statements begin and end it.
 * - sql_safe_updates refuses an UPDATE or DELETE for which the server finds no index.
 */
const SESSION_SETTINGS = [
  'set names utf8mb4 collate utf8mb4_bin',
  `set session sql_mode = '${SQL_MODE}'`,
  "set session time_zone = '+00:00'",
  'set session transaction isolation level read committed, read write',
  'set session autocommit = 1',
  "set session completion_type = 'NO_CHAIN'",
  'set session foreign_key_checks = 1',
  'set session sql_safe_updates = 0',
];

/** Prepares a session before its first statement. */
export async function prepareSession(
  ask: AskServer,
  { lockTimeoutMs, statementTimeoutMs }: DatabaseSettings,
): Promise<MySqlServer> {
  const server = await describeServer(ask);
  const settings = [...SESSION_SETTINGS, lockTimeout(lockTimeoutMs)];
  if (statementTimeoutMs !== undefined) {
    settings.push(statementTimeout(statementTimeoutMs, server));
  }
  await ask(settings.join('; '));
  return server;
}

async function describeServer(ask: AskServer): Promise<MySqlServer> {
  const [row] = await ask(
    'select version() as version, @@session.max_allowed_packet as packetBytesMax',
  );
  const version = String(row?.version);
  return {
    version,
    isMariaDb: version.includes('MariaDB'),
    packetBytesMax: Number(row?.packetBytesMax),
  };
}

/**
 * Returns the statement that sets the lock timeout. innodb_lock_wait_timeout is in whole seconds and at least 1, so
 * LOCK_TIMEOUT_MS is rounded up.
 */
function lockTimeout(timeoutMs: number): string {
  return `set session innodb_lock_wait_timeout = ${Math.ceil(timeoutMs / 1_000)}`;
}

/**
 * Returns the statement that sets the statement timeout. MariaDB takes seconds and applies it to all statements; MySQL
 * takes milliseconds and applies it to reads.
 */
function statementTimeout(timeoutMs: number, { isMariaDb }: MySqlServer): string {
  return isMariaDb
    ? `set session max_statement_time = ${timeoutMs / 1_000}`
    : `set session max_execution_time = ${timeoutMs}`;
}

/** The first versions with SKIP LOCKED and with CHECK constraints that are enforced. */
const VERSION_MIN = { MariaDB: '10.6', MySQL: '8.0.16' };

/** Limits the bytes of every statement except appended rows, such as the keys of a group and pages of ids. */
const STATEMENT_BYTES_MAX = 1_024 * 1_024;

/** The bytes of one account in the statement that locks the accounts of a bulk: its id and the separator. */
const LOCKED_ACCOUNT_BYTES = 64;

/** @throws ExplainedError that names the missing capability and its remedy */
export async function requireCapableServer(
  { version, isMariaDb, packetBytesMax }: MySqlServer,
  ask: AskServer,
  bulkTransfersMax = 0,
): Promise<void> {
  const product = isMariaDb ? 'MariaDB' : 'MySQL';
  const versionMin = VERSION_MIN[product];
  if (version.localeCompare(versionMin, 'en', { numeric: true }) < 0) {
    throw new ExplainedError(
      `The database server is ${product} ${version}: at least ${versionMin} is needed.`,
    );
  }
  const bytesMin = Math.max(STATEMENT_BYTES_MAX, bulkTransfersMax * LOCKED_ACCOUNT_BYTES);
  if (packetBytesMax < bytesMin) {
    throw new ExplainedError(
      `The database server's max_allowed_packet is ${packetBytesMax}: raise it to at least ${bytesMin}, or lower BULK_TRANSFERS_MAX.`,
    );
  }
  if (await isLoggedByStatement(ask)) {
    throw new ExplainedError(
      "The database server's binlog_format is STATEMENT, which refuses writes at READ COMMITTED: set it to ROW.",
    );
  }
}

/**
 * Tells whether the binary log uses statements. The query names both variables, because some servers lack one of them.
 */
async function isLoggedByStatement(ask: AskServer): Promise<boolean> {
  const rows = await ask("show variables where variable_name in ('log_bin', 'binlog_format')");
  const values = new Map(rows.map((row) => [row.Variable_name, row.Value]));
  return values.get('log_bin') === 'ON' && values.get('binlog_format') === 'STATEMENT';
}
