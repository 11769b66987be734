/**
 * Checks the database every few seconds. The database must accept writes, have every table, and grant every privilege
 * that the server needs. Its clock must agree with the clock of this machine.
 *
 * - MySQL and MariaDB: several servers date one ledger. A server whose clock differs from the database's by more than
 *   CLOCK_SKEW_MS_MAX therefore refuses to write until the clocks agree again. The database reads its clock at an
 *   unknown moment of the check, so the duration of the check counts in the server's favour.
 * - SQLite: there is no other clock. The watch logs a wall clock that is behind the last ledger entry at start, or that
 *   jumps while the server runs.
 * - Entries are dated by a clock that does not follow jumps of the wall clock. No entry is dated wrong before a check
 *   finds a jump. The clock follows the wall clock whenever a check finds the wall clock right. On SQLite, right means
 *   without a jump.
 */
import type { Clock } from '../../application/ports/clock.js';
import type { UnitOfWork } from '../../application/ports/unit-of-work.js';
import { UnavailableError } from '../../domain/errors.js';
import type { Logger } from '../observability/logger.js';
import { singleFlight } from '../single-flight.js';
import type { Database } from './dialect.js';
import { SteadyClock } from './steady-clock.js';
import { type DatabaseUnavailability, isOutage, unavailabilityOf } from './unavailability.js';

/** Interval between two checks. */
const CHECK_INTERVAL_MS = 5_000;

/** Age at which a check counts as hung. The next check then begins on another connection. */
export const CHECK_AGE_MAX_MS = 10_000;

/** Reasons of the database for which bulks cannot be performed. */
export type DatabaseTrouble =
  | 'UNREACHABLE'
  | 'READ_ONLY'
  | 'ACCESS_DENIED'
  | 'NOT_MIGRATED'
  | 'CLOCK_SKEW';

/** The trouble that a check reports when the database refuses a statement for a reason. */
const TROUBLES: Readonly<Partial<Record<DatabaseUnavailability, DatabaseTrouble>>> = {
  DATABASE_READ_ONLY: 'READ_ONLY',
  DATABASE_ACCESS_DENIED: 'ACCESS_DENIED',
  DATABASE_INCOMPLETE: 'NOT_MIGRATED',
};

/** Returns the trouble that an error of a check indicates. */
export function troubleOf(error: unknown): DatabaseTrouble {
  const reason = unavailabilityOf(error);
  return (reason && TROUBLES[reason]) ?? 'UNREACHABLE';
}

export interface WatchPorts {
  readonly database: Database;
  readonly skewMaxMs: number;
  readonly logger: Logger;
}

export class DatabaseWatch {
  readonly #clock = new SteadyClock();
  #checkTimer: NodeJS.Timeout | undefined;
  #isStopped = false;
  /** The error of the wall clock, in milliseconds; undefined if the clock is right or its error is unknown. */
  #skewMs: number | undefined;
  #isSearchUsable = true;
  /** Tells whether the two clocks have agreed since the start. */
  #hasAgreed = false;

  private constructor(private readonly ports: WatchPorts) {}

  /** Starts the watch. The first check is complete when the promise resolves. */
  static async start(ports: WatchPorts): Promise<DatabaseWatch> {
    const { database, skewMaxMs, logger } = ports;
    const watch = new DatabaseWatch(ports);
    const lastEntryAt = await database.lastEntryAt();
    const behindMs = (lastEntryAt?.getTime() ?? 0) - Date.now();
    if (behindMs > skewMaxMs) {
      logger.error({ behindMs, lastEntryAt }, 'Clock behind the last ledger entry');
    }
    await watch.troubles();
    watch.#checkTimer = setInterval(() => void watch.troubles(), CHECK_INTERVAL_MS);
    watch.#checkTimer.unref();
    return watch;
  }

  /** Stops the watch. Callers call it before they close the database. */
  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#checkTimer);
  }

  /** Returns the time with which entries are dated. */
  readonly now: Clock = () => this.#clock.now();

  /**
   * Checks the database now, or shares the check that is running, so checks never take more than one connection. Never
   * rejects.
   * @returns an empty list if bulks can be performed
   */
  readonly troubles = singleFlight(() => this.#findTroubles(), CHECK_AGE_MAX_MS);

  async #findTroubles(): Promise<readonly DatabaseTrouble[]> {
    const trouble = await this.#findTrouble();
    if (trouble === 'UNREACHABLE') return [trouble];
    return [...(trouble ? [trouble] : []), ...(this.#isRefusing ? (['CLOCK_SKEW'] as const) : [])];
  }

  async #findTrouble(): Promise<DatabaseTrouble | undefined> {
    try {
      if (!(await this.#check())) return 'READ_ONLY';
    } catch (error) {
      this.#log(error);
      return troubleOf(error);
    }
    const { database } = this.ports;
    this.#isSearchUsable =
      (await this.#findMissing(() => database.requireSearchable())) === undefined;
    return this.#findMissing(() => database.requireUsable());
  }

  /** Tells whether the last check found the search tables usable. Bulks do not need them. */
  get isSearchUsable(): boolean {
    return this.#isSearchUsable;
  }

  /**
   * Returns the table or privilege trouble, if any. An error that does not concern the database reports no trouble,
   * because the database has just answered.
   */
  async #findMissing(require: () => Promise<void>): Promise<DatabaseTrouble | undefined> {
    const { database } = this.ports;
    try {
      await require();
      return undefined;
    } catch (error) {
      // Another session changes or locks a table, so the table exists.
      if (database.isContention(error)) return undefined;
      this.#log(error);
      return isOutage(error) ? troubleOf(error) : undefined;
    }
  }

  #log(error: unknown): void {
    const isExpected = isOutage(error) || this.#isStopped;
    if (!isExpected) this.ports.logger.error({ err: error }, 'Database check failed');
  }

  /** Wraps a unit of work so that it refuses all work while the clock is known to be wrong. */
  guard(unitOfWork: UnitOfWork): UnitOfWork {
    return {
      run: async (request, work) => {
        if (this.#isRefusing) throw new UnavailableError('CLOCK_SKEW');
        return unitOfWork.run(request, work);
      },
    };
  }

  /**
   * Tells whether writes are refused because of the clock. An embedded database has no clock of its own, so it never
   * refuses.
   */
  get #isRefusing(): boolean {
    return this.#skewMs !== undefined && this.ports.database.hasOwnClock;
  }

  /** Returns whether the database takes writes. */
  async #check(): Promise<boolean> {
    const begunMs = Date.now();
    const begunAt = performance.now();
    const { isWritable, nowMs } = await this.ports.database.readStatus();
    const tookMs = performance.now() - begunAt;
    const skewMs =
      nowMs === undefined
        ? this.#clock.driftMs()
        : withoutDoubt(begunMs + tookMs / 2 - nowMs, tookMs / 2);
    this.#note(Math.round(skewMs));
    return isWritable;
  }

  #note(skewMs: number): void {
    const { database, skewMaxMs, logger } = this.ports;
    const wasRight = this.#skewMs === undefined;
    if (Math.abs(skewMs) <= skewMaxMs) {
      this.#skewMs = undefined;
      this.#hasAgreed = true;
      this.#clock.followWallClock();
      if (!wasRight) logger.info('Clock correct again');
      return;
    }
    this.#skewMs = skewMs;
    // The audit log is written even while the clock is wrong. Its time comes from the last moment at which both clocks
    // agreed. If they never agreed since the start, the time is the database's, which other servers share.
    if (database.hasOwnClock && !this.#hasAgreed) this.#clock.followWallClock(skewMs);
    if (!wasRight) return;
    const message = database.hasOwnClock ? "Clock differs from the database's" : 'Clock jumped';
    logger.error({ skewMs, skewMaxMs }, message);
  }
}

/** Subtracts the possible error of the measurement from a difference. */
function withoutDoubt(differenceMs: number, doubtMs: number): number {
  return Math.sign(differenceMs) * Math.max(Math.abs(differenceMs) - doubtMs, 0);
}
