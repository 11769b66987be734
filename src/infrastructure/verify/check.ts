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

/**
 * Makes a check from one query that selects the violations, in the SQL that SQLite, MySQL and MariaDB share.
 * @param violationsSql may have one parameter if `isAboutKept` is set: the moment since which published outbox messages
 *   are kept
 */
export function sqlCheck(
  statement: string,
  violationsSql: string,
  { isAboutKept = false } = {},
): Check {
  return {
    statements: [statement],
    run: async (em, keptSince) => {
      const violations: Violation[] = await em.execute(
        `${violationsSql} limit ${VIOLATIONS_LISTED_MAX}`,
        isAboutKept ? [keptSince] : [],
      );
      return [{ statement, violations }];
    },
  };
}
