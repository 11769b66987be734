import { TableNotFoundException } from '@mikro-orm/core';
import { ExplainedError } from '../observability/explained-error.js';
import type { Database } from './dialect.js';

/** The database's schema is not the one that this server works with. */
export class NotMigratedError extends ExplainedError {
  override readonly name = 'NotMigratedError';
}

/**
 * Makes sure that every migration has run: an embedded database is migrated, any other is its
 * operator's to migrate.
 * @throws NotMigratedError
 */
export async function requireMigrated(database: Database): Promise<void> {
  if (database.migratesAtStart) await database.orm.migrator.up();
  else await assertMigrated(database);
}

/**
 * Looks whether every migration has run, and changes nothing.
 * @throws NotMigratedError
 */
export async function assertMigrated({ orm }: Database): Promise<void> {
  try {
    await orm.em.execute('select 1 from virement_migration');
  } catch (error) {
    if (!(error instanceof TableNotFoundException)) throw error;
    throw new NotMigratedError('The database has no tables of ours. Run: npm run migrate');
  }
  const pending = await orm.migrator.getPending();
  if (pending.length === 0) return;
  const names = pending.map((migration) => migration.name).join(', ');
  throw new NotMigratedError(
    `The database lacks ${pending.length} of its migrations (${names}). Run: npm run migrate`,
  );
}
