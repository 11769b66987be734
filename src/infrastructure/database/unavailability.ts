/**
 * Errors of MySQL and MariaDB that tell of the server or the way to it, not of the statement. They are told
 * by their numbers and codes: MikroORM wraps errors in its own, and copies both.
 */
import { type Unavailability, UnavailableError } from '../../domain/errors.js';

/** What a failed statement or connection tells of the database. */
export type DatabaseUnavailability = Exclude<Unavailability, 'OUTCOME_UNKNOWN' | 'CLOCK_SKEW'>;

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
  if (READ_ONLY_ERRNOS.includes(errno)) return 'DATABASE_READ_ONLY';
  // mysql2 gives no code where a connection ended before a statement was sent on it.
  const hasEnded = fatal === true && errno === undefined && code === undefined;
  const isAway = AWAY_ERRNOS.includes(errno) || AWAY_CODES.includes(code);
  return isAway || hasEnded ? 'DATABASE_AWAY' : undefined;
}

/** Tells whether the database's outage is what an error is about: the pool has it logged. */
export function isOutage(error: unknown): boolean {
  return error instanceof UnavailableError || unavailabilityOf(error) !== undefined;
}

/** Throws an error on, as an UnavailableError where it tells that the database is unavailable. */
export function throwUnavailable(error: unknown): never {
  const reason = unavailabilityOf(error);
  if (reason === undefined) throw error;
  throw new UnavailableError(reason, { cause: error });
}
