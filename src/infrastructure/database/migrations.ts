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
export async function requireMigrated({ orm, migratesAtStart }: Database): Promise<void> {
  const pending = await orm.migrator.getPending();
  if (pending.length === 0) return;
  if (!migratesAtStart) {
    const names = pending.map((migration) => migration.name).join(', ');
    throw new NotMigratedError(
      `The database lacks ${pending.length} of its migrations (${names}). Run: npm run migrate`,
    );
  }
  await orm.migrator.up();
}
