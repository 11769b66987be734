/**
 * Errors of a database that tell of the database or the way to it, not of the statement. They are told
 * by their numbers and codes: MikroORM wraps errors in its own, and copies both.
 */
import { type Unavailability, UnavailableError } from '../../domain/errors.js';

/** What a failed statement or connection tells of the database. */
export type DatabaseUnavailability = Exclude<Unavailability, 'OUTCOME_UNKNOWN' | 'CLOCK_SKEW'>;

/** Hears of each error that tells that the database is unavailable. Never throws. */
export type OnUnavailable = (reason: DatabaseUnavailability, error: unknown) => void;

/** The server takes no writes: by an option of its own, of the transaction, or of InnoDB. */
const READ_ONLY_ERRNOS: readonly unknown[] = [
  1_290, // ER_OPTION_PREVENTS_STATEMENT
  1_792, // ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
  1_836, // ER_READ_ONLY_MODE
];

/** The server has no connection to give, ends one, or stops. */
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

/** The server has no room, on its disk or in its memory. */
const FULL_ERRNOS: readonly unknown[] = [
  1_021, // ER_DISK_FULL
  1_037, // ER_OUTOFMEMORY
  1_038, // ER_OUT_OF_SORTMEMORY
  1_041, // ER_OUT_OF_RESOURCES
  1_114, // ER_RECORD_FILE_FULL
  1_135, // ER_CANT_CREATE_THREAD
];

/** The user of the server's connections lacks a privilege. */
const ACCESS_DENIED_ERRNOS: readonly unknown[] = [
  1_044, // ER_DBACCESS_DENIED_ERROR
  1_045, // ER_ACCESS_DENIED_ERROR
  1_142, // ER_TABLEACCESS_DENIED_ERROR
  1_143, // ER_COLUMNACCESS_DENIED_ERROR
  1_227, // ER_SPECIFIC_ACCESS_DENIED_ERROR
];

/** The database, a table or a column does not exist. */
const INCOMPLETE_ERRNOS: readonly unknown[] = [
  1_049, // ER_BAD_DB_ERROR
  1_054, // ER_BAD_FIELD_ERROR
  1_146, // ER_NO_SUCH_TABLE
];

/** SQLite has no code for what does not exist. */
const SQLITE_INCOMPLETE = /\bno such (table|column): |\bhas no column named /;

/** Failures of files; the message has the number that the operating system gave. */
const FILE_ERRNOS: readonly unknown[] = [
  3, // EE_WRITE
  1_026, // ER_ERROR_ON_WRITE
  1_030, // ER_GET_ERRNO
];

/** ENOSPC: "(Errcode: 28 "No space left on device")", or "Got error 28 from storage engine". */
const NO_SPACE = /\b(errcode:|errno:|error) 28\b/i;

/** ER_QUERY_INTERRUPTED: an administrator's KILL QUERY. */
const QUERY_INTERRUPTED = 1_317;

/** SQLite's primary codes: https://sqlite.org/rescode.html */
const SQLITE_ERROR = 1;
const SQLITE_NOMEM = 7;
const SQLITE_IOERR = 10;
const SQLITE_FULL = 13;

/** The code of an error of the pool: there is no connection to run a statement on, whatever the reason. */
export const NO_CONNECTION = 'NO_DATABASE_CONNECTION';

/** Codes of a connection that is lost: of the network, and of mysql2. */
const AWAY_CODES: readonly unknown[] = [
  NO_CONNECTION,
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'PROTOCOL_CONNECTION_LOST',
];

/** Tells what an error says of the database; undefined for an error that says nothing of it. */
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
  const lacksInSqlite = sqliteCode === SQLITE_ERROR && SQLITE_INCOMPLETE.test(error.message);
  if (lacksInSqlite || INCOMPLETE_ERRNOS.includes(errno)) return 'DATABASE_INCOMPLETE';
  // mysql2 gives no code where a connection ended before a statement was sent on it.
  const hasEnded = fatal === true && errno === undefined && code === undefined;
  const isAway = AWAY_ERRNOS.includes(errno) || AWAY_CODES.includes(code);
  return isAway || hasEnded ? 'DATABASE_AWAY' : undefined;
}

/**
 * Returns what a driver's error says is missing: a table, a column or a privilege. It names nothing that a client sent,
 * unlike the messages of other errors, which are not logged.
 */
export function lackOf(reason: DatabaseUnavailability, driverError: unknown): string | undefined {
  const isLack = reason === 'DATABASE_ACCESS_DENIED' || reason === 'DATABASE_INCOMPLETE';
  return isLack && driverError instanceof Error ? driverError.message : undefined;
}

/** Returns the primary code of an error of SQLite, which is the lowest byte; undefined for any other error. */
export function sqliteCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return Number(error.errcode) & 0xff;
}

/**
 * Tells whether a transaction whose COMMIT failed was certainly rolled back. A read-only server has done so;
 * SQLite has where the disk had no room for the last page of the log, which is what makes a commit. A failed
 * fsync does not tell: the page may be in the log, and a crash would bring it back.
 */
export function isCertainlyRolledBack(commitError: unknown): boolean {
  const isFullSqlite = sqliteCodeOf(commitError) === SQLITE_FULL;
  return isFullSqlite || unavailabilityOf(commitError) === 'DATABASE_READ_ONLY';
}

/** Tells whether an error's connection leads to a server that can't be used, so that one to another server is needed. */
export function needsOtherServer(reason: DatabaseUnavailability): boolean {
  return reason === 'DATABASE_AWAY' || reason === 'DATABASE_READ_ONLY';
}

/** Tells whether a new connection is needed: a privilege that is granted again may not hold for an open one. */
export function needsOtherConnection(reason: DatabaseUnavailability): boolean {
  return needsOtherServer(reason) || reason === 'DATABASE_ACCESS_DENIED';
}

/** Tells whether the same work may succeed in a moment; the other reasons wait for an operator. */
export function mayPassSoon(reason: DatabaseUnavailability): boolean {
  return needsOtherServer(reason) || reason === 'STATEMENT_FAILED';
}

/** Tells whether the database's outage is what an error is about, and so logged. A commit may fail for another reason. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof UnavailableError)) return unavailabilityOf(error) !== undefined;
  return error.reason !== 'OUTCOME_UNKNOWN' || isOutage(error.cause);
}

/** Throws an error on, as an UnavailableError where it tells that the database is unavailable. */
export function throwUnavailable(error: unknown): never {
  const reason = unavailabilityOf(error);
  if (reason === undefined) throw error;
  throw new UnavailableError(reason, { cause: error });
}
