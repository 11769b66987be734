/**
 * The ledger's invariants, checked on the stored rows: each compares values that several rows repeat or imply.
 * `test/ledger/verify-columns.test.ts` corrupts each column of each table, and lists the values that no other row
 * repeats.
 */
import type { EntityManager } from '@mikro-orm/sql';
import type { Database } from '../database/dialect.js';
import { WATERMARK } from '../search/search-tables.js';
import type { Check, Finding } from './check.js';
import { ORDER_CHECKS } from './order-checks.js';
import { ROW_CHECKS } from './row-checks.js';
import { SEARCH_CHECKS } from './search-checks.js';
import { SQL_CHECKS } from './sql-checks.js';
import { WEBHOOK_CHECKS } from './webhook-checks.js';

const CHECKS: readonly Check[] = [
  ...SQL_CHECKS,
  ...ROW_CHECKS,
  ...WEBHOOK_CHECKS,
  ...ORDER_CHECKS,
  ...SEARCH_CHECKS,
];

/**
 * Checks every invariant on one state of the database, while others write.
 * @param keptSince outbox messages that were published before this moment may be deleted
 * @param onFinding called with each finding as soon as it is complete
 */
export function checkInvariants(
  { orm, snapshotIsolation }: Pick<Database, 'orm' | 'snapshotIsolation'>,
  keptSince: Date,
  onFinding?: (finding: Finding) => void,
): Promise<Finding[]> {
  return orm.em
    .fork()
    .transactional((em) => recountInvariants(em, keptSince, onFinding), snapshotIsolation);
}

/** Checks every invariant in the transaction of an entity manager. */
export async function recountInvariants(
  em: EntityManager,
  keptSince: Date,
  onFinding: (finding: Finding) => void = () => {},
): Promise<Finding[]> {
  // SQLite has the search tables in a file of their own. The state of this file that is checked is not later than that
  // of the ledger, because it is read first.
  await em.execute(`select count(*) from ${WATERMARK.name}`);
  const findings: Finding[] = [];
  for (const check of CHECKS) {
    for (const finding of await check.run(em, keptSince)) {
      findings.push(finding);
      onFinding(finding);
    }
  }
  return findings;
}
