import type { EntityManager } from '@mikro-orm/sql';

/** A row that breaks an invariant, with columns that help to find it. */
export type Violation = Readonly<Record<string, unknown>>;

/** An invariant, and the first rows that break it. */
export interface Finding {
  readonly statement: string;
  readonly violations: readonly Violation[];
}

/** Limits the violations that are listed for one invariant. */
export const VIOLATIONS_LISTED_MAX = 20;

/** Checks one or more invariants on one state of the database. */
export interface Check {
  /** Sentences that are true of every row, one for each invariant. */
  readonly statements: readonly string[];
  /**
   * @param em the entity manager of the transaction whose state is checked
   * @param keptSince outbox messages that were published before this moment may be deleted
   * @returns a finding for each statement, in the same order
   */
  run(em: EntityManager, keptSince: Date): Promise<Finding[]>;
}

/** A check of one invariant by one query. */
export interface SqlCheck extends Check {
  /** Selects the violations. It may have one parameter, as in sqlCheck. */
  readonly violationsSql: string;
}

/**
 * Makes a check from one query that selects the violations, in the SQL that SQLite, MySQL and MariaDB share. The query
 * must be fast without statistics on the tables, because a ledger may grow faster than the database updates them: it
 * reads each table once, and finds rows of other tables by a unique key.
 * @param violationsSql may have one parameter if `isAboutKept` is set: the moment since which published outbox messages
 *   are kept
 */
export function sqlCheck(
  statement: string,
  violationsSql: string,
  { isAboutKept = false } = {},
): SqlCheck {
  return {
    statements: [statement],
    violationsSql,
    run: async (em, keptSince) => {
      const violations: Violation[] = await em.execute(
        `${violationsSql} limit ${VIOLATIONS_LISTED_MAX}`,
        isAboutKept ? [keptSince] : [],
      );
      return [{ statement, violations }];
    },
  };
}
