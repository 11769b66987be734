/**
 * The ledger's invariants, recounted from the rows: what one row says that another repeats or implies.
 * `test/ledger/verify-columns.test.ts` corrupts each column of each table, and says which values nothing repeats.
 */
import type { EntityManager } from '@mikro-orm/sql';
import type { Database } from '../database/dialect.js';
import type { Check, Finding } from './check.js';
import { ROW_CHECKS } from './row-checks.js';
import { SQL_CHECKS } from './sql-checks.js';

const CHECKS: readonly Check[] = [...SQL_CHECKS, ...ROW_CHECKS];

/**
 * Recounts every invariant on one state of the database, whoever writes meanwhile.
 * @param keptSince outbox messages that were published before may be deleted
 * @param onFinding hears of each as soon as it is counted
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

/** Recounts every invariant in the transaction of an entity manager. */
export async function recountInvariants(
  em: EntityManager,
  keptSince: Date,
  onFinding: (finding: Finding) => void = () => {},
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of CHECKS) {
    for (const finding of await check.run(em, keptSince)) {
      findings.push(finding);
      onFinding(finding);
    }
  }
  return findings;
}
