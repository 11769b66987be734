import { DriverException, TableNotFoundException } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/sql';
import { UnavailableError } from '../../domain/errors.js';
import { ExplainedError } from '../observability/explained-error.js';
import { reasonOf } from '../observability/secrets.js';
import type { Database } from './dialect.js';

/** The error for a database whose schema is not the one that this server works with. */
class NotMigratedError extends ExplainedError {
  override readonly name = 'NotMigratedError';
}

/**
 * Requires that every migration has run. An embedded database is migrated here; an operator migrates any other.
 * @throws NotMigratedError
 */
export async function requireMigrated(database: Database): Promise<void> {
  if (database.migratesAtStart) await explained(database, () => database.orm.migrator.up());
  else await assertMigrated(database);
}

/**
 * Checks whether every migration has run, and changes nothing.
 * @throws NotMigratedError
 */
export function assertMigrated(database: Database): Promise<void> {
  return explained(database, () => lookForMigrations(database));
}

/**
 * Reverts the last migration.
 * @param confirmedName the name of the database, which confirms that its rows may be dropped
 * @returns the migrations that were reverted: one, or none if none has run
 * @throws ExplainedError if the database has rows and confirmedName is missing or wrong
 */
export async function revertLast(
  { orm }: Database,
  confirmedName: string | undefined,
): Promise<readonly { readonly name: string }[]> {
  const name = orm.config.get('dbName');
  const tables = await tablesWithRows(orm);
  if (tables.length > 0 && confirmedName !== name) {
    throw new ExplainedError(
      `The database ${name} has rows in ${tables.join(', ')}. The revert of a migration may drop them. Back up the database, then add: --drop-data-of ${name}`,
    );
  }
  return orm.migrator.down();
}

/** Returns the server's tables that have a row. A table that does not exist at an earlier migration counts as empty. */
async function tablesWithRows(orm: MikroORM): Promise<string[]> {
  const names = new Set([...orm.getMetadata().getAll().values()].map((meta) => meta.tableName));
  const found: string[] = [];
  for (const name of names) {
    try {
      const rows = await orm.em.fork().execute(`select 1 from \`${name}\` limit 1`);
      if (rows.length > 0) found.push(name);
    } catch (error) {
      if (!(error instanceof TableNotFoundException)) throw error;
    }
  }
  return found;
}

/**
 * Runs an operator's work on a database.
 * @throws ExplainedError with the name of the database and its reason, if the database refuses the work
 */
export async function explained<Result>(
  { orm }: Pick<Database, 'orm'>,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DriverException || error instanceof UnavailableError)) throw error;
    const name = orm.config.get('dbName');
    const reason = reasonOf(error.cause ?? error);
    throw new ExplainedError(`The database ${name} failed: ${reason}.`, { cause: error });
  }
}

async function lookForMigrations({ orm }: Database): Promise<void> {
  try {
    await orm.em.execute('select 1 from virement_migration');
  } catch (error) {
    if (!(error instanceof TableNotFoundException)) throw error;
    throw new NotMigratedError('The database has no tables of Virement. Run: npm run migrate');
  }
  const pending = await orm.migrator.getPending();
  if (pending.length === 0) return;
  const names = pending.map((migration) => migration.name).join(', ');
  throw new NotMigratedError(
    `The database is not up to date: pending migrations ${names}. Run: npm run migrate`,
  );
}
