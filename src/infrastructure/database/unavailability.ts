/**
 * Errors that concern the database or its connection, and not the statement. They are recognised by their numbers and
 * codes. MikroORM wraps errors in its own and copies both.
 */
import { type Unavailability, UnavailableError } from '../../domain/errors.js';

/** The reason of the database for a failed statement or connection. */
export type DatabaseUnavailability = Exclude<
  Unavailability,
  'OUTCOME_UNKNOWN' | 'CLOCK_SKEW' | 'BROKER_AWAY'
>;

/** Called with each error that shows that the database is unavailable. Never throws. */
export type OnUnavailable = (reason: DatabaseUnavailability, error: unknown) => void;

/** Error numbers of a server that accepts no writes, by its own option, the transaction's, or InnoDB's. */
const READ_ONLY_ERRNOS: readonly unknown[] = [
  1_290, // ER_OPTION_PREVENTS_STATEMENT
  1_792, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
  1_836, // ER_READ_ONLY_MODE
];

/** Error numbers of a server that has no free connection, ends a connection, or stops. */
const AWAY_ERRNOS: readonly unknown[] = [
  1_040, // ER_CON_COUNT_ERROR
  1_047, // ER_UNKNOWN_COM_ERROR: a Galera node that is not part of its cluster
  1_053, // ER_SERVER_SHUTDOWN
  1_077, // ER_NORMAL_SHUTDOWN
  1_078, // ER_GOT_SIGNAL
  1_079, // ER_SHUTDOWN_COMPLETE
  1_080, // ER_FORCING_CLOSE
  1_129, // ER_HOST_IS_BLOCKED
  1_152, // ER_ABORTING_CONNECTION
  1_158, // ER_NET_READ_ERROR
  1_159, // ER_NET_READ_INTERRUPTED
  1_160, // ER_NET_ERROR_ON_WRITE
  1_161, // ER_NET_WRITE_INTERRUPTED
  1_184, // ER_NEW_ABORTING_CONNECTION
  1_203, // ER_TOO_MANY_USER_CONNECTIONS
  1_226, // ER_USER_LIMIT_REACHED
  1_927, // ER_CONNECTION_KILLED, of MariaDB
  3_032, // ER_SERVER_OFFLINE_MODE
  3_169, // ER_SESSION_WAS_KILLED
  4_031, // ER_CLIENT_INTERACTION_TIMEOUT
];

/** Error numbers of a server that lacks disk space or memory. */
const FULL_ERRNOS: readonly unknown[] = [
  1_021, // ER_DISK_FULL
  1_037, // ER_OUTOFMEMORY
  1_038, // ER_OUT_OF_SORTMEMORY
  1_041, // ER_OUT_OF_RESOURCES
  1_114, // ER_RECORD_FILE_FULL
  1_135, // ER_CANT_CREATE_THREAD
];

/** Error numbers of a user that lacks a privilege. */
const ACCESS_DENIED_ERRNOS: readonly unknown[] = [
  1_044, // ER_DBACCESS_DENIED_ERROR
  1_045, // ER_ACCESS_DENIED_ERROR
  1_142, // ER_TABLEACCESS_DENIED_ERROR
  1_143, // ER_COLUMNACCESS_DENIED_ERROR
  1_227, // ER_SPECIFIC_ACCESS_DENIED_ERROR
];

/** Error numbers of a database, a table or a column that does not exist. */
const INCOMPLETE_ERRNOS: readonly unknown[] = [
  1_049, // ER_BAD_DB_ERROR
  1_054, // ER_BAD_FIELD_ERROR
  1_146, // ER_NO_SUCH_TABLE
];

/** SQLite's messages about a missing table or column, which have no code of their own. */
const SQLITE_INCOMPLETE = /\bno such (table|column): |\bhas no column named /;

/** Error numbers of file failures. The message contains the error number of the operating system. */
const FILE_ERRNOS: readonly unknown[] = [
  3, // EE_WRITE
  1_026, // ER_ERROR_ON_WRITE
  1_030, // ER_GET_ERRNO
];

/** ENOSPC: "(Errcode: 28 "No space left on device")", or "Got error 28 from storage engine". */
const NO_SPACE = /\b(errcode:|errno:|error) 28\b/i;

/** ER_QUERY_INTERRUPTED, the error after an administrator's KILL QUERY. */
const QUERY_INTERRUPTED = 1_317;

/** SQLite's primary codes: https://sqlite.org/rescode.html */
const SQLITE_ERROR = 1;
const SQLITE_NOMEM = 7;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/** The code of a connection pool error that leaves a statement without a connection, for any reason. */
export const NO_CONNECTION = 'NO_DATABASE_CONNECTION';

/** Codes of a lost connection, from the network and from mysql2. */
const AWAY_CODES: readonly unknown[] = [
  NO_CONNECTION,
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'PROTOCOL_CONNECTION_LOST',
];

/** Returns what an error says about the database; undefined if the error does not concern the database. */
export function unavailabilityOf(error: unknown): DatabaseUnavailability | undefined {
  if (!(error instanceof Error)) return undefined;
  const { errno, code, fatal } = error as { errno?: unknown; code?: unknown; fatal?: unknown };
  const sqliteCode = sqliteCodeOf(error);
  if (READ_ONLY_ERRNOS.includes(errno)) return 'DATABASE_READ_ONLY';
  if (sqliteCode === SQLITE_FULL || sqliteCode === SQLITE_NOMEM) return 'DATABASE_FULL';
  if (FULL_ERRNOS.includes(errno)) return 'DATABASE_FULL';
  if (FILE_ERRNOS.includes(errno) && NO_SPACE.test(error.message)) return 'DATABASE_FULL';
  if (errno === QUERY_INTERRUPTED || sqliteCode === SQLITE_IOERR) return 'STATEMENT_FAILED';
  if (ACCESS_DENIED_ERRNOS.includes(errno)) return 'DATABASE_ACCESS_DENIED';
  const isMissingInSqlite = sqliteCode === SQLITE_ERROR && SQLITE_INCOMPLETE.test(error.message);
  if (isMissingInSqlite || INCOMPLETE_ERRNOS.includes(errno)) return 'DATABASE_INCOMPLETE';
  // mysql2 sets no code if a connection ended before a statement was sent on it.
  const hasEnded = fatal === true && errno === undefined && code === undefined;
  const isAway = AWAY_ERRNOS.includes(errno) || AWAY_CODES.includes(code);
  return isAway || hasEnded ? 'DATABASE_AWAY' : undefined;
}

/**
 * Returns the driver's message about a missing table, column or privilege. Such a message contains nothing that a
 * client sent, unlike the messages of other errors, which are not logged.
 */
export function missingOf(
  reason: DatabaseUnavailability,
  driverError: unknown,
): string | undefined {
  const isMissing = reason === 'DATABASE_ACCESS_DENIED' || reason === 'DATABASE_INCOMPLETE';
  return isMissing && driverError instanceof Error ? driverError.message : undefined;
}

/** Returns the primary code of a SQLite error, which is its lowest byte; undefined for any other error. */
export function sqliteCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return Number(error.errcode) & 0xff;
}

/** Tells whether an error shows that a SQLite file is damaged, or is no database. */
export function isDamage(error: unknown): boolean {
  const code = sqliteCodeOf(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/**
 * Tells whether a transaction whose COMMIT failed was certainly rolled back. A read-only server has rolled it back.
 * SQLite has rolled it back if the disk had no space for the last page of the log, which completes a commit. A failed
 * fsync proves nothing: the page may be in the log, and a crash would restore it.
 */
export function isCertainlyRolledBack(commitError: unknown): boolean {
  const isFullSqlite = sqliteCodeOf(commitError) === SQLITE_FULL;
  return isFullSqlite || unavailabilityOf(commitError) === 'DATABASE_READ_ONLY';
}

/**
 * Tells whether an error's connection leads to a server that cannot be used, so a connection to another server is
 * needed.
 */
export function needsOtherServer(reason: DatabaseUnavailability): boolean {
  return reason === 'DATABASE_AWAY' || reason === 'DATABASE_READ_ONLY';
}

/** Tells whether a new connection is needed. A privilege that is granted again may not apply to an open connection. */
export function needsOtherConnection(reason: DatabaseUnavailability): boolean {
  return needsOtherServer(reason) || reason === 'DATABASE_ACCESS_DENIED';
}

/** Tells whether the same work may succeed after a moment. The other reasons require an operator. */
export function mayPassSoon(reason: DatabaseUnavailability): boolean {
  return needsOtherServer(reason) || reason === 'STATEMENT_FAILED';
}

/**
 * Tells whether an error is about an outage of the database, which is logged separately. A commit may fail for another
 * reason.
 */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof UnavailableError)) return unavailabilityOf(error) !== undefined;
  return error.reason !== 'OUTCOME_UNKNOWN' || isOutage(error.cause);
}

/** Throws an error again, as an UnavailableError if the error shows that the database is unavailable. */
export function throwUnavailable(error: unknown): never {
  const reason = unavailabilityOf(error);
  if (reason === undefined) throw error;
  throw new UnavailableError(reason, { cause: error });
}
