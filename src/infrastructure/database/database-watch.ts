/**
 * Looks at the database every few seconds: whether it takes writes, whether it has every table and grants
 * every privilege that the server needs, and whether its clock and this machine's agree.
 *
 * - MySQL and MariaDB. Several servers date one ledger, so a server whose clock differs from the database's
 *   by more than CLOCK_SKEW_MS_MAX refuses to write until the two agree again. The time of a look counts in
 *   the server's favour: the database's clock was read at some moment of it.
 * - SQLite. There is no other clock. A wall clock that is behind the last ledger entry at start, or jumps
 *   while the server runs, is logged.
 * - Entries are dated by a clock that no jump moves, so nothing is dated wrong before a look finds the jump.
 *   It follows the wall clock whenever a look finds the wall clock right: on SQLite that is, without a jump.
 */
import type { Clock } from '../../application/ports/clock.js';
import type { UnitOfWork } from '../../application/ports/unit-of-work.js';
import { UnavailableError } from '../../domain/errors.js';
import type { Logger } from '../observability/logger.js';
import { singleFlight } from '../single-flight.js';
import type { Database } from './dialect.js';
import { SteadyClock } from './steady-clock.js';
import { type DatabaseUnavailability, isOutage, unavailabilityOf } from './unavailability.js';

/** Interval between two looks. */
const LOOK_INTERVAL_MS = 5_000;

/** Age at which a look counts as hung, so that another one begins on another connection. */
export const LOOK_AGE_MAX_MS = 10_000;

/** What keeps bulks from being performed, as far as the database is concerned. */
export type DatabaseTrouble =
  | 'UNREACHABLE'
  | 'READ_ONLY'
  | 'ACCESS_DENIED'
  | 'NOT_MIGRATED'
  | 'CLOCK_SKEW';

/** What it means for a look that the database refuses a statement. */
const TROUBLES: Readonly<Partial<Record<DatabaseUnavailability, DatabaseTrouble>>> = {
  DATABASE_READ_ONLY: 'READ_ONLY',
  DATABASE_ACCESS_DENIED: 'ACCESS_DENIED',
  DATABASE_INCOMPLETE: 'NOT_MIGRATED',
};

/** Returns the trouble that the error of a look tells of. */
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
  #looking: NodeJS.Timeout | undefined;
  #isStopped = false;
  /** By how much the wall clock is wrong, in milliseconds; undefined where it is right, or nobody knows. */
  #skewMs: number | undefined;
  /** Tells whether the two clocks have agreed since the start. */
  #hasAgreed = false;

  private constructor(private readonly ports: WatchPorts) {}

  /** Starts to watch; the first look is done when it resolves. */
  static async start(ports: WatchPorts): Promise<DatabaseWatch> {
    const { database, skewMaxMs, logger } = ports;
    const watch = new DatabaseWatch(ports);
    const lastEntryAt = await database.lastEntryAt();
    const behindMs = (lastEntryAt?.getTime() ?? 0) - Date.now();
    if (behindMs > skewMaxMs) {
      logger.error({ behindMs, lastEntryAt }, 'Clock behind the last ledger entry');
    }
    await watch.troubles();
    watch.#looking = setInterval(() => void watch.troubles(), LOOK_INTERVAL_MS);
    watch.#looking.unref();
    return watch;
  }

  /** To be called before the database is closed. */
  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#looking);
  }

  /** The time that entries are dated with. */
  readonly now: Clock = () => this.#clock.now();

  /**
   * Looks at the database now, or shares the look that is running, so that looks never take more than one connection.
   * Never rejects.
   * @returns nothing where bulks can be performed
   */
  readonly troubles = singleFlight(() => this.#findTroubles(), LOOK_AGE_MAX_MS);

  async #findTroubles(): Promise<readonly DatabaseTrouble[]> {
    const trouble = await this.#findTrouble();
    if (trouble === 'UNREACHABLE') return [trouble];
    return [...(trouble ? [trouble] : []), ...(this.#isRefusing ? (['CLOCK_SKEW'] as const) : [])];
  }

  async #findTrouble(): Promise<DatabaseTrouble | undefined> {
    try {
      if (!(await this.#look())) return 'READ_ONLY';
    } catch (error) {
      this.#log(error);
      return troubleOf(error);
    }
    return this.#findLack();
  }

  /** A check that failed for another reason than the database's tells nothing: the database has just answered. */
  async #findLack(): Promise<DatabaseTrouble | undefined> {
    const { database } = this.ports;
    try {
      await database.requireUsable();
      return undefined;
    } catch (error) {
      // Somebody else changes or locks a table, which therefore exists.
      if (database.isContention(error)) return undefined;
      this.#log(error);
      return isOutage(error) ? troubleOf(error) : undefined;
    }
  }

  #log(error: unknown): void {
    const isExpected = isOutage(error) || this.#isStopped;
    if (!isExpected) this.ports.logger.error({ err: error }, 'Database not looked at');
  }

  /** A unit of work that nothing is run in while the clock is known to be wrong. */
  guard(unitOfWork: UnitOfWork): UnitOfWork {
    return {
      run: async (request, work) => {
        if (this.#isRefusing) throw new UnavailableError('CLOCK_SKEW');
        return unitOfWork.run(request, work);
      },
    };
  }

  /** An embedded database has no clock to disagree with. */
  get #isRefusing(): boolean {
    return this.#skewMs !== undefined && this.ports.database.hasOwnClock;
  }

  /** @returns whether the database takes writes */
  async #look(): Promise<boolean> {
    const begunMs = Date.now();
    const begunAt = performance.now();
    const { isWritable, nowMs } = await this.ports.database.look();
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
      if (!wasRight) logger.info('Clock right again');
      return;
    }
    this.#skewMs = skewMs;
    // The audit log is written even now. It is dated by the time on which both clocks agreed last; at start by the
    // database's, which other servers share.
    if (database.hasOwnClock && !this.#hasAgreed) this.#clock.followWallClock(skewMs);
    if (!wasRight) return;
    const message = database.hasOwnClock ? "Clock differs from the database's" : 'Clock jumped';
    logger.error({ skewMs, skewMaxMs }, message);
  }
}

/** Takes what may be due to the measurement off a difference. */
function withoutDoubt(differenceMs: number, doubtMs: number): number {
  return Math.sign(differenceMs) * Math.max(Math.abs(differenceMs) - doubtMs, 0);
}
